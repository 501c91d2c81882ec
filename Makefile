# relay - build, test, run.  `make help` lists the targets.
.DELETE_ON_ERROR:
.SUFFIXES:

BUILD    ?= build
CC       ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG    ?= clang
OPT      ?= -O2
# relayd and relay-peer are optimised as a whole, tests link their parts as they are.
LTO      ?= -flto=auto -ffat-lto-objects
SANITIZE ?=
JOBS     ?= $(shell nproc)
SECONDS  ?= 20
prefix   ?= /usr/local
# Where systemd, logrotate and the like look; a prefix of one's own has an etc of its own.
sysconfdir ?= $(if $(filter /usr /usr/local,$(prefix)),/etc,$(prefix)/etc)
DESTDIR  ?=

# All cores, unless make was told how many.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(JOBS)
endif

CSTD     := -std=c11 -D_GNU_SOURCE
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	    -Wcast-qual -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough -Werror
HARDEN   := -fstack-protector-strong -fno-common
CFLAGS   += $(CSTD) $(OPT) $(LTO) -g $(WARN) $(HARDEN) $(SANITIZE)
CPPFLAGS += -I. -I$(BUILD)/gen
LDFLAGS  += $(SANITIZE) -Wl,-z,relro,-z,now

# A source is found by where it lies: what has a main() is named, everything else goes into the library of its directory.
MSG_MAIN_SRC := $(sort $(wildcard relay/msg_*.c))
MAIN_SRC  := bench/bench.c bench/idea_bench.c bench/peer.c bench/pump_epoll.c bench/pump_uring.c bench/stats_bench.c tests/tls_bench.c \
	     bench/true_service.c deploy/man/tables.c relay/ctl_screen.c relay/ctl_top.c relay/ctl_top_draw.c relay/exporter.c \
	     $(MSG_MAIN_SRC) relay/prefork_client_main.c relay/relayctl.c relay/relayd.c
sources    = $(sort $(filter-out $(MAIN_SRC),$(wildcard $(1))))
WIRE_SRC  := $(call sources,wire/*.c)
URING_SRC := $(call sources,uring/*.c)
RELAY_SRC := $(call sources,relay/*.c)
BENCH_SRC := $(call sources,bench/*.c)
SIM_SRC   := $(call sources,tests/fake_*.c tests/sim*.c)
# Used by more than one test: what stands in for the rest of a process.
STAGE_SRC := $(call sources,tests/*_stage.c)
# The contract is tested twice: on the ring and on the fake of it.
TESTS     := $(patsubst tests/%.c,%,$(call sources,tests/test_*.c)) test_uring_contract_fake
FUZZERS   := $(patsubst tests/fuzz/%.c,%,$(call sources,tests/fuzz/fuzz_*.c))

# What runs is shown short; V=1 shows the commands.
Q   := $(if $(V),,@)
say  = $(if $(V),,@echo '  $(1)	$(patsubst $(BUILD)/%,%,$@)')

obj       = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
PROGRAMS := $(addprefix $(BUILD)/,relayd relayctl relay-exporter relay-prefork relay-peer relay-bench pump-epoll pump-uring)
TEST_BIN := $(addprefix $(BUILD)/tests/,$(TESTS))
FUZZ_BIN := $(addprefix $(BUILD)/fuzz/,$(FUZZERS))
LIBS     := $(BUILD)/librelay.a $(BUILD)/libring.a $(BUILD)/libwire.a
MAN      := $(addprefix $(BUILD)/man/,relayd.8 relay-exporter.8 relayctl.1 relay-prefork.1 relay.conf.5)
C_FILES  := $(wildcard $(addsuffix /*.[ch],wire uring relay bench deploy/man tests tests/e2e tests/fuzz))
# Sources that nothing is built from: `make tidy` complains of them.
UNLISTED := $(filter-out $(WIRE_SRC) $(URING_SRC) $(RELAY_SRC) $(BENCH_SRC) $(MAIN_SRC) $(SIM_SRC) $(STAGE_SRC) tests/e2e/deny.c tests/e2e/inside.c \
	    $(TESTS:%=tests/%.c) $(FUZZERS:%=tests/fuzz/%.c),$(filter %.c,$(C_FILES)))

all: $(PROGRAMS) man ## the programs and their manual pages, below build/ (default)

# What has to be installed: asked once, and again when the list changes.
$(BUILD)/deps-%: deploy/deps.sh
	@mkdir -p $(@D)
	deploy/deps.sh $*
	@touch $@

$(BUILD)/obj/%.o: %.c | $(BUILD)/deps-build
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/obj/tests/%.o: tests/%.c | $(BUILD)/deps-test
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The messages of the control socket.  Every source may include them, so they come first.
GENERATED := $(BUILD)/gen/control.pb-c.h
$(BUILD)/gen/control.pb-c.c: wire/control.proto | $(BUILD)/deps-build
	$(call say,PROTOC)
	@mkdir -p $(@D)
	$(Q)protoc-c -Iwire --c_out=$(@D) $<
$(GENERATED): $(BUILD)/gen/control.pb-c.c
$(BUILD)/gen/control.pb-c.o: $(BUILD)/gen/control.pb-c.c
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CSTD) $(OPT) $(LTO) -g $(HARDEN) $(SANITIZE) -c -o $@ $<
$(call obj,$(WIRE_SRC) $(RELAY_SRC) $(MAIN_SRC) $(STAGE_SRC) $(TESTS:%=tests/%.c)): | $(GENERATED)

$(BUILD)/libwire.a: $(call obj,$(WIRE_SRC)) $(BUILD)/gen/control.pb-c.o
$(BUILD)/libring.a: $(call obj,$(URING_SRC))
$(BUILD)/librelay.a: $(call obj,$(RELAY_SRC))
$(BUILD)/libbench.a: $(call obj,$(BENCH_SRC))
$(BUILD)/lib%.a:
	$(call say,AR)
	@rm -f $@
	$(Q)ar rcs $@ $^

LINK = -fno-lto
# Across files gcc no longer sees which call says whether a structure was filled.
$(BUILD)/relayd: LINK = $(CFLAGS) -Wno-maybe-uninitialized
$(BUILD)/relayd: $(call obj,relay/relayd.c) $(LIBS)
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ -luring -lconfuse -lprotobuf-c -lsqlite3 $(BORINGTLS)
# The only one with a screen: ncurses stays out of the libraries.
$(BUILD)/relayctl: $(call obj,relay/relayctl.c relay/ctl_screen.c relay/ctl_top.c relay/ctl_top_draw.c) \
    $(BUILD)/librelay.a $(BUILD)/libwire.a
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ -lprotobuf-c -lncursesw -ltinfo
# An HTTP server, and so a program of its own: libevent stays out of relayd.
$(BUILD)/relay-exporter: $(call obj,relay/exporter.c) $(BUILD)/librelay.a $(BUILD)/libwire.a
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ -lprotobuf-c -levent_extra -levent_core
# No protobuf, no ring: it is started for every call.
$(BUILD)/relay-prefork: $(call obj,relay/prefork_client_main.c) $(BUILD)/librelay.a $(BUILD)/libwire.a
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(BORINGSSL)
# Debian keeps it beside OpenSSL, whose names it shares: headers and libraries are looked for there first, also at run time.
BORINGSSL_DIR := /usr/lib/$(shell $(CC) -print-multiarch)/android
BORINGSSL      = -L$(BORINGSSL_DIR) -Wl,-rpath,$(BORINGSSL_DIR) -lcrypto
BORINGTLS      = $(BORINGSSL) -lssl
$(addprefix $(BUILD)/obj/,relay/datagram_cookie.o relay/prefork_client_ident.o relay/tls.o relay/tls_context.o relay/tls_material.o relay/tls_verify.o tests/tls_stage.o tests/test_tls.o wire/datagram_seal.o tests/test_datagram_seal.o): CPPFLAGS += -isystem /usr/include/android
# Criterion brings OpenSSL along, which does not go into the program; the linker would warn of the two.
$(BUILD)/tests/test_%: TEST_LIBS = -Wl,--as-needed $(BORINGTLS) -Wl,--no-as-needed -Wl,--no-warnings
# What it costs bounds what can be measured.
$(BUILD)/relay-peer: LINK = $(CFLAGS)
$(BUILD)/relay-peer: $(call obj,bench/peer.c) $(BUILD)/libbench.a $(BUILD)/libwire.a
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^
$(BUILD)/relay-bench: $(call obj,bench/bench.c) $(BUILD)/libbench.a $(BUILD)/libring.a $(BUILD)/libwire.a
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ -luring $(BORINGSSL)
$(BUILD)/pump-epoll: $(call obj,bench/pump_epoll.c) $(BUILD)/libbench.a
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^
$(BUILD)/pump-uring: $(call obj,bench/pump_uring.c) $(BUILD)/libbench.a
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ -luring

# ---- librelay-prefork: for other programs, and so built for any compiler; relayd does not link it ----

PREFORK_SRC  := $(call sources,relay/prefork/*.c)
PREFORK_LIBS := $(BUILD)/librelay-prefork.a $(BUILD)/librelay-prefork.so.0
PREFORK_TEST := $(addprefix $(BUILD)/,bench-true tests/prefork-call tests/prefork-probe examples/prefork-service)
PREFORK_MAN  := $(BUILD)/man/relay-prefork.3
MAN      += $(PREFORK_MAN)
C_FILES  += $(wildcard $(addsuffix /*.[ch],relay/prefork deploy/examples))
UNLISTED := $(filter-out tests/e2e/prefork_call.c tests/e2e/prefork_probe.c,$(UNLISTED))

all: $(PREFORK_LIBS)
# Only what the header declares is to be seen, also in the static one.
$(call obj,$(PREFORK_SRC)): CFLAGS += -fPIC -fvisibility=hidden -fno-lto
$(BUILD)/libprefork.a: $(call obj,$(PREFORK_SRC))
$(BUILD)/librelay-prefork.a: $(call obj,$(PREFORK_SRC))
	$(call say,AR)
	@rm -f $@
	$(Q)ld -r -o $(@:.a=.o) $^ && objcopy --localize-hidden $(@:.a=.o) && ar rcs $@ $(@:.a=.o)
$(BUILD)/librelay-prefork.so.0: $(call obj,$(PREFORK_SRC)) relay/prefork/exports.map
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -shared -Wl,-soname,$(@F) -Wl,--version-script=relay/prefork/exports.map \
	    -o $@ $(filter %.o,$^)

# What its tests take, and the example.
programs: $(PREFORK_TEST)
$(addprefix $(BUILD)/tests/test_prefork_,children handover message request): $(BUILD)/libprefork.a
$(BUILD)/tests/prefork-call: $(call obj,tests/e2e/prefork_call.c)
$(BUILD)/tests/prefork-probe: $(call obj,tests/e2e/prefork_probe.c) $(BUILD)/librelay-prefork.a
# Two forks a call copy what is mapped: without shared libraries there is less.  Sanitizers need theirs.
$(BUILD)/bench-true: LDFLAGS += $(if $(SANITIZE),,-static)
$(BUILD)/bench-true: $(call obj,bench/true_service.c) $(BUILD)/librelay-prefork.a
$(BUILD)/examples/prefork-service: $(call obj,deploy/examples/prefork-service.c) $(BUILD)/librelay-prefork.a
$(PREFORK_TEST):
	$(call say,LD)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^

# The .pc file says where it was installed to.
install: install-prefork
install-prefork: $(PREFORK_LIBS) $(PREFORK_MAN)
	install -d $(DESTDIR)$(prefix)/lib/pkgconfig $(DESTDIR)$(prefix)/share/doc/relay/examples
	install -D -m 644 relay/prefork.h $(DESTDIR)$(prefix)/include/relay/prefork.h
	install -m 644 $(BUILD)/librelay-prefork.a $(DESTDIR)$(prefix)/lib
	install -m 755 $(BUILD)/librelay-prefork.so.0 $(DESTDIR)$(prefix)/lib
	ln -sf librelay-prefork.so.0 $(DESTDIR)$(prefix)/lib/librelay-prefork.so
	sed 's|@PREFIX@|$(prefix)|' deploy/relay-prefork.pc.in >$(DESTDIR)$(prefix)/lib/pkgconfig/relay-prefork.pc
	install -D -m 644 $(PREFORK_MAN) $(DESTDIR)$(prefix)/share/man/man3/relay-prefork.3
	install -m 644 deploy/examples/prefork-service.c $(DESTDIR)$(prefix)/share/doc/relay/examples
.PHONY: install-prefork

# ---- librelay-msg: likewise; what it takes of wire/ is compiled once more, for others to link ----

MSG_SRC  := $(call sources,relay/msg/*.c)
MSG_WIRE := $(addprefix wire/,datagram.c datagram_body.c datagram_keys.c datagram_parts.c datagram_seal.c datagram_window.c hex.c hex_avx2.c hex_ssse3.c notice.c)
MSG_OBJ  := $(call obj,$(MSG_SRC)) $(MSG_WIRE:%.c=$(BUILD)/obj/msg/%.o)
MSG_LIBS := $(BUILD)/librelay-msg.a $(BUILD)/librelay-msg.so.0
MSG_MAN  := $(addprefix $(BUILD)/man/,relay-msg.1 relay-msg.3)
MAN      += $(MSG_MAN)
MSG_TEST := $(addprefix $(BUILD)/,tests/lossy tests/msg-crowd tests/msg-relay examples/msg-client)
C_FILES  += $(wildcard relay/msg/*.[ch])
MSG_CROWD := $(sort $(wildcard tests/e2e/crowd*.c))
UNLISTED := $(filter-out tests/e2e/lossy.c tests/e2e/msg_relay.c $(MSG_CROWD),$(UNLISTED))

all: $(MSG_LIBS) $(BUILD)/relay-msg
$(BUILD)/relay-msg: $(call obj,$(MSG_MAIN_SRC)) $(BUILD)/librelay-msg.a $(BUILD)/libwire.a
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(BORINGSSL)
$(MSG_OBJ): CFLAGS += -fPIC -fvisibility=hidden -fno-lto
$(BUILD)/obj/msg/wire/datagram_seal.o: CPPFLAGS += -isystem /usr/include/android
$(BUILD)/obj/msg/%.o: %.c | $(BUILD)/deps-build
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/libmsg.a: $(MSG_OBJ)
$(BUILD)/tests/test_msg_session $(BUILD)/tests/test_msg_client: $(BUILD)/libmsg.a
$(BUILD)/fuzz/fuzz_msg_session: $(filter relay/msg/session%,$(MSG_SRC)) $(wildcard relay/msg/*.h)
$(BUILD)/librelay-msg.a: $(MSG_OBJ)
	$(call say,AR)
	@rm -f $@
	$(Q)ld -r -o $(@:.a=.o) $^ && objcopy --localize-hidden $(@:.a=.o) && ar rcs $@ $(@:.a=.o)
$(BUILD)/librelay-msg.so.0: $(MSG_OBJ) relay/msg/exports.map
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -shared -Wl,-soname,$(@F) -Wl,--version-script=relay/msg/exports.map \
	    -o $@ $(filter %.o,$^) $(BORINGSSL)

programs: $(MSG_TEST)
$(BUILD)/tests/lossy: $(call obj,tests/e2e/lossy.c)
$(BUILD)/tests/msg-crowd: $(call obj,$(MSG_CROWD)) $(BUILD)/libmsg.a $(BUILD)/libbench.a $(BUILD)/libwire.a
$(BUILD)/tests/msg-relay: $(call obj,tests/e2e/msg_relay.c) $(BUILD)/libstage.a $(BUILD)/libwire.a
$(BUILD)/examples/msg-client: $(call obj,deploy/examples/msg-client.c) $(BUILD)/librelay-msg.a
$(MSG_TEST):
	$(call say,LD)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(BORINGSSL)

install: install-msg
install-msg: $(MSG_LIBS) $(MSG_MAN) $(BUILD)/relay-msg
	install -d $(DESTDIR)$(prefix)/bin $(DESTDIR)$(prefix)/lib/pkgconfig $(DESTDIR)$(prefix)/share/doc/relay/examples
	install -m 755 $(BUILD)/relay-msg $(DESTDIR)$(prefix)/bin
	install -D -m 644 relay/msg.h $(DESTDIR)$(prefix)/include/relay/msg.h
	install -m 644 $(BUILD)/librelay-msg.a $(DESTDIR)$(prefix)/lib
	install -m 755 $(BUILD)/librelay-msg.so.0 $(DESTDIR)$(prefix)/lib
	ln -sf librelay-msg.so.0 $(DESTDIR)$(prefix)/lib/librelay-msg.so
	sed 's|@PREFIX@|$(prefix)|; s|@CRYPTO@|$(BORINGSSL)|' deploy/relay-msg.pc.in >$(DESTDIR)$(prefix)/lib/pkgconfig/relay-msg.pc
	install -D -m 644 $(BUILD)/man/relay-msg.1 $(DESTDIR)$(prefix)/share/man/man1/relay-msg.1
	install -D -m 644 $(BUILD)/man/relay-msg.3 $(DESTDIR)$(prefix)/share/man/man3/relay-msg.3
	install -D -m 644 deploy/relay-msg.bash $(DESTDIR)$(prefix)/share/bash-completion/completions/relay-msg
	install -m 644 deploy/examples/msg-client.c $(DESTDIR)$(prefix)/share/doc/relay/examples
.PHONY: install-msg

# The pages say what the tables in the code say.  No word is broken at a line's end: commands could not be copied.
man: $(MAN) ## the manual pages: man -l build/man/relayctl.1
$(BUILD)/man/tables: $(call obj,deploy/man/tables.c) $(BUILD)/librelay.a
	$(call say,LD)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^
$(BUILD)/man/tables.txt: $(BUILD)/man/tables
	$(Q)$< >$@
$(BUILD)/man/%: deploy/man/%.scd.in $(BUILD)/man/tables.txt deploy/man/generate
	$(call say,MAN)
	$(Q)deploy/man/generate $(BUILD)/man/tables.txt $< >$@.scd
	$(Q)scdoc <$@.scd | sed '/^\.TH /a .nh' >$@

# Compares with libgcrypt, which only testing takes.
$(call obj,bench/idea_bench.c): | $(BUILD)/deps-test
$(BUILD)/idea-bench: $(call obj,bench/idea_bench.c) $(BUILD)/libwire.a
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ -lgcrypt

$(BUILD)/stats-bench: $(call obj,bench/stats_bench.c) $(LIBS)
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^

# Its certificates are those of the tests.
$(BUILD)/tls-bench: $(call obj,tests/tls_bench.c tests/tls_stage.c) $(BUILD)/libbench.a $(LIBS)
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(BORINGTLS)

# The worker's own code on a ring and channels in memory.
$(BUILD)/relay-sim: $(call obj,$(SIM_SRC)) $(LIBS)
	$(call say,LD)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(BORINGTLS)
$(BUILD)/tests/deny $(BUILD)/tests/inside: $(BUILD)/tests/%: $(BUILD)/obj/tests/e2e/%.o
	$(call say,LD)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^
# One source, two rings.
$(BUILD)/obj/tests/test_uring_contract_fake.o: tests/test_uring_contract.c | $(BUILD)/deps-test
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DFAKE=1 $(CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/tests/test_uring_contract_fake: $(BUILD)/obj/tests/test_uring_contract_fake.o \
    $(call obj,tests/fake_net.c tests/fake_submit.c tests/fake_uring.c uring/timer.c)
	$(call say,LD)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ -lcriterion
# A worker on the ring in memory.
$(BUILD)/tests/test_link_tls: $(call obj,tests/test_link_tls.c tests/fake_channel.c tests/fake_net.c tests/fake_submit.c tests/fake_uring.c) \
    $(BUILD)/libstage.a $(LIBS)
	$(call say,LD)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(TEST_LIBS) -lcriterion
$(BUILD)/libstage.a: $(call obj,$(STAGE_SRC))
$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libstage.a $(BUILD)/libbench.a $(LIBS)
	$(call say,LD)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(TEST_LIBS) -luring -lconfuse -lprotobuf-c -lsqlite3 -lgcrypt -lcriterion

$(BUILD)/fuzz/%: tests/fuzz/%.c $(WIRE_SRC) $(BUILD)/gen/control.pb-c.c $(wildcard wire/*.h) | $(BUILD)/deps-test
	$(call say,FUZZ)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) -isystem /usr/include/android $(CSTD) -O1 -g -fsanitize=fuzzer,address,undefined \
	    -fno-sanitize-recover=all -o $@ $(filter %.c,$^) -lprotobuf-c $(BORINGSSL)

# Beside the codec, the library's own reading.
$(BUILD)/fuzz/fuzz_prefork: $(PREFORK_SRC) $(wildcard relay/prefork/*.h)

$(BUILD)/fuzz/fuzz_tls: BORINGSSL += -lssl
$(BUILD)/fuzz/fuzz_tls: tests/tls_stage.c relay/tls.c relay/tls_context.c relay/tls_verify.c relay/buffer.c relay/memory.c $(wildcard relay/tls*.h)

# What stands behind the control socket is all of the daemon, without the programs that ask it.
DAEMON_SRC = $(filter-out relay/ctl_% relay/exporter% relay/prefork_client_%,$(RELAY_SRC))
$(BUILD)/fuzz/fuzz_control_request: tests/fuzz/fuzz_control_request.c $(STAGE_SRC) $(DAEMON_SRC) $(URING_SRC) $(WIRE_SRC) \
    $(BUILD)/gen/control.pb-c.c $(wildcard wire/*.h relay/*.h uring/*.h) | $(BUILD)/deps-test
	$(call say,FUZZ)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) -isystem /usr/include/android $(CSTD) -O1 -g -fsanitize=fuzzer,address,undefined \
	    -fno-sanitize-recover=all -o $@ $(filter %.c,$^) -luring -lconfuse -lprotobuf-c -lsqlite3 $(BORINGTLS)

demo: all $(BUILD)/examples/prefork-service ## two peers, the relay, a client of the old kind, a call of a service, requests and notices by datagram, shown at work
	@deploy/demo/run $(BUILD)

programs: all $(TEST_BIN) $(BUILD)/tests/deny $(BUILD)/tests/inside $(BUILD)/relay-sim

CHECKS = 'tests/run-unit $(TEST_BIN)' '$(BUILD)/relay-sim $(SIM)' 'tests/e2e/run --build $(BUILD)'
SIM    = --require-coverage 1 1000
check: programs ## unit tests, the simulation, end-to-end scripts
	@tests/run-steps $(CHECKS)

mutants: ## planted bugs, each of which the simulation or a unit test must catch
	@tests/run-mutants

# Sanitizers report into files: a test program can pass although one of its processes did not.
ASAN          := build-asan
ASAN_FINDINGS := $(abspath $(ASAN))/findings
asan: ## check again, built with address and undefined behaviour sanitizers
	@$(MAKE) --no-print-directory BUILD=$(ASAN) LTO= OPT='-O1 -fno-omit-frame-pointer' \
	    SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all' SIM='1 100' asan-check
asan-check: programs
	@rm -rf $(ASAN_FINDINGS) && mkdir -p $(ASAN_FINDINGS)
	@ASAN_OPTIONS=log_path=$(ASAN_FINDINGS)/a:detect_stack_use_after_return=1 \
	    UBSAN_OPTIONS=log_path=$(ASAN_FINDINGS)/a:print_stacktrace=1 RELAY_TEST_SCALE=4 \
	    tests/run-steps $(CHECKS) 'tests/run-findings $(ASAN_FINDINGS)'

fuzz: $(FUZZ_BIN) ## every fuzz target for SECONDS=20, from the corpus and what was found before
	@tests/run-fuzz --seconds $(SECONDS) $(FUZZ_BIN)

tidy: $(BUILD)/libwire.a $(BUILD)/deps-test ## format, direction of includes, purity of wire/, static analysis
	@tests/run-tidy --wire $(BUILD)/libwire.a --include $(BUILD)/gen --unlisted '$(UNLISTED)' $(C_FILES)

format: $(BUILD)/deps-test ## lays out all C files anew
	clang-format -i $(C_FILES)

# Competitors and meters that cannot be installed are reported as missing, not required.
COMPARE = deploy/deps.sh bench || echo 'measuring without them'; RELAY_BUILD=$(abspath $(BUILD)) bench/compare
bench: all ## 21 scenarios on relayd and other relays, 38 minutes; results in bench/results/ (LONC=PROGRAM: beside yours)
	@$(COMPARE) --set full $(if $(LONC),--lonc '$(LONC)')
bench-quick: all ## the scenarios that matter most, 5 minutes
	@$(COMPARE) --set quick $(if $(LONC),--lonc '$(LONC)')
bench-calls: all $(BUILD)/bench-true ## calls of a service through relayd, beside the original client and library
	@bench/calls $(BUILD)

bench-guard: all ## exact counts per request against bench/guard.baseline
	@deploy/deps.sh bench || echo 'counting without them'; RELAY_BUILD=$(abspath $(BUILD)) bench/guard

idea-bench: $(BUILD)/idea-bench ## nanoseconds per encrypted line, every way, beside libgcrypt
	@$(BUILD)/idea-bench

stats-bench: $(BUILD)/stats-bench ## nanoseconds per request counted, microseconds per reading of the statistics
	@$(BUILD)/stats-bench

bench-tls: all $(BUILD)/tls-bench ## links in TLS beside plain ones: processor time per request; handshakes per second of one core
	@bench/tls $(BUILD)

install: all ## into $(DESTDIR)$(prefix)
	install -d $(DESTDIR)$(prefix)/sbin $(DESTDIR)$(prefix)/bin $(DESTDIR)$(prefix)/share/doc/relay
	install -m 755 $(BUILD)/relayd $(BUILD)/relay-exporter $(DESTDIR)$(prefix)/sbin
	install -m 755 $(BUILD)/relayctl $(BUILD)/relay-prefork $(BUILD)/relay-peer $(BUILD)/relay-bench $(DESTDIR)$(prefix)/bin
	for page in $(MAN); do install -D -m 644 "$$page" "$(DESTDIR)$(prefix)/share/man/man$${page##*.}/$${page##*/}" || exit 1; done
	install -D -m 644 deploy/relayctl.bash $(DESTDIR)$(prefix)/share/bash-completion/completions/relayctl
	install -D -m 644 deploy/relay-prefork.bash $(DESTDIR)$(prefix)/share/bash-completion/completions/relay-prefork
	install -d $(DESTDIR)$(prefix)/share/relay/bench/lib/RelayBench
	install -m 755 bench/compare bench/foreground bench/guard bench/select-relay $(DESTDIR)$(prefix)/share/relay/bench
	install -m 644 bench/scenarios bench/targets bench/guard.baseline bench/README.md $(DESTDIR)$(prefix)/share/relay/bench
	install -m 644 bench/lib/RelayBench/*.pm $(DESTDIR)$(prefix)/share/relay/bench/lib/RelayBench
	install -m 644 LICENSE $(wildcard README.md) $(DESTDIR)$(prefix)/share/doc/relay

# ---- what a system with systemd takes; nothing is enabled by it ----

SYSTEMD      := deploy/systemd
SYSTEMD_UNIT := relayd.service relayd-host@.socket relayd-control.socket
SYSTEMD_DROP := command-services.conf lon-capa.conf
install: install-system
install-system:
	install -d $(addprefix $(DESTDIR)$(prefix)/lib/,systemd/system sysusers.d tmpfiles.d) \
	    $(addprefix $(DESTDIR)$(sysconfdir)/,relay default logrotate.d) \
	    $(addprefix $(DESTDIR)$(prefix)/share/,relay/systemd doc/relay/examples)
	umask 022; for unit in $(SYSTEMD_UNIT); do $(call fill,$$unit) >$(DESTDIR)$(prefix)/lib/systemd/system/$$unit || exit 1; done
	umask 022; for drop in $(SYSTEMD_DROP); do $(call fill,$$drop) >$(DESTDIR)$(prefix)/share/relay/systemd/$$drop || exit 1; done
	install -m 644 $(SYSTEMD)/relay.sysusers $(DESTDIR)$(prefix)/lib/sysusers.d/relay.conf
	install -m 644 $(SYSTEMD)/relay.tmpfiles $(DESTDIR)$(prefix)/lib/tmpfiles.d/relay.conf
	install -m 644 $(SYSTEMD)/relay.logrotate $(DESTDIR)$(sysconfdir)/logrotate.d/relay
	install -m 644 deploy/examples/relay.conf $(DESTDIR)$(prefix)/share/doc/relay/examples
	install -m 755 deploy/make-ca $(DESTDIR)$(prefix)/share/relay
	test -e $(DESTDIR)$(sysconfdir)/default/relayd || \
	    install -m 644 $(SYSTEMD)/relayd.default $(DESTDIR)$(sysconfdir)/default/relayd
# A file with the places that it speaks of, whether it has such or not.
fill = sed 's|@PREFIX@|$(prefix)|g; s|@SYSCONFDIR@|$(sysconfdir)|g' $$(ls $(SYSTEMD)/$(1) $(SYSTEMD)/$(1).in 2>/dev/null)
.PHONY: install-system

deb: $(BUILD)/deps-package ## the Debian packages, in build/deb
	@JOBS=$(JOBS) deploy/make-deb $(BUILD)/deb
deb-check: deb $(BUILD)/examples/prefork-service ## lintian; installed, booted, at work and purged in a Debian of their own
	@deploy/check-deb $(BUILD)/deb
.PHONY: deb deb-check

image: ## the container images localhost/relay and localhost/relay:debug, by docker, podman or buildah
	@deploy/image/build
image-check: $(BUILD)/relay-peer $(BUILD)/relay-prefork $(BUILD)/relay-msg ## builds the image and tries it as it is deployed
	@deploy/deps.sh image || echo 'trying without them'; tests/e2e/run --build $(BUILD) deploy/image/check
compose-check: ## builds the image and brings compose.yaml up, as it is, by docker compose or podman-compose
	@deploy/deps.sh image || echo 'trying without them'; tests/e2e/run --build $(BUILD) deploy/image/check-compose
manifests-check: $(BUILD)/relayd ## compose.yaml and the manifests of Kubernetes: fields, names, configuration
	@deploy/deps.sh manifests || echo 'trying without them'; deploy/kubernetes/check --build $(BUILD)
.PHONY: image image-check compose-check manifests-check

clean: ## removes all that was built
	rm -rf build build-*

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
.PHONY: all man programs demo check mutants asan asan-check fuzz tidy format bench bench-quick bench-calls bench-guard \
	idea-bench stats-bench bench-tls install clean help
.SECONDARY:
