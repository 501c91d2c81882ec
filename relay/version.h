/*
 * version.h - what --version, the control socket and the metrics say.
 */
#ifndef RELAY_VERSION_H
#define RELAY_VERSION_H

#ifndef RELAY_VERSION
#define RELAY_VERSION "0.1"
#endif

#endif
