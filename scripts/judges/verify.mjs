// verify.mjs BUNDLE TRUSTED_ROOT KEY [--no-timestamp]: what npm's @sigstore/verify says of a bundle. The subject is the
// caller's to compare; one timestamp is asked for unless told otherwise.
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.PROVEX_TOOLS}/npm/`);
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');

const [bundlePath, rootPath, keyPath, option] = process.argv.slice(2);
const json = (path) => JSON.parse(readFileSync(path, 'utf8'));
const key = createPublicKey(readFileSync(keyPath, 'utf8'));
const trust = toTrustMaterial(TrustedRoot.fromJSON(json(rootPath)), () => ({ publicKey: key, validFor: () => true }));
const thresholds = { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: option === '--no-timestamp' ? 0 : 1 };
new Verifier(trust, thresholds).verify(toSignedEntity(bundleFromJSON(json(bundlePath))));
console.log('Verified OK');
