// check-types.js FILE... - prints a TypeScript program of the documents in the YAML files: each a literal of the type that
// Kubernetes gives its kind, so that a compiler that takes no unknown properties finds what a cluster would refuse or drop.
//
// Run by deploy/kubernetes/check, where js-yaml is to be found.
'use strict';
const fs = require('fs');
const yaml = require('js-yaml');

const documents = process.argv.slice(2).flatMap((file) => yaml.loadAll(fs.readFileSync(file, 'utf8')));
documents.forEach((document, i) => {
	const type = `import("kubernetes-models/${document.apiVersion}/${document.kind}").I${document.kind}`;
	console.log(`export const document${i}: ${type} = ${JSON.stringify(document, null, 1)};`);
});
// That the compiler does complain is part of the proof.
console.log('// @ts-expect-error');
console.log('export const wrong: import("kubernetes-models/v1/ConfigMap").IConfigMap = {"apiVersion": "v1", "kind": "ConfigMap", "date": {}};');
