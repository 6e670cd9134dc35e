// Signs an update's feed file (latest.yml, latest-linux.yml, latest-mac.yml) in place, so that installed apps take it:
//   WEFT_UPDATE_PRIVATE_KEY=FILE.pem node scripts/desktop-sign-update.ts dist/packages/latest-linux.yml
// A pair of keys: `openssl genpkey -algorithm ed25519 -out FILE.pem`; without a file to sign this prints the public key, which
// is built into the app as WEFT_UPDATE_KEY.
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { parseUpdateInfo } from 'electron-updater/out/providers/Provider.js';
import { signedText } from '../desktop/main/update-signature.ts';

const keyFile = process.env.WEFT_UPDATE_PRIVATE_KEY;
if (!keyFile) throw new Error('Set WEFT_UPDATE_PRIVATE_KEY to the file of an Ed25519 private key (PEM).');
const privateKey = createPrivateKey(await readFile(keyFile));
const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
console.log(`public key: ${Buffer.from(x, 'base64url').toString('base64')}`);

for (const path of process.argv.slice(2)) {
  // A signature of before goes first: what is signed is what the app will read.
  const yaml = (await readFile(path, 'utf8')).replace(/^weftSignature:.*\n/m, '');
  const { version, files } = parseUpdateInfo(yaml, path, new URL('https://feed.invalid/'));
  const signature = sign(null, Buffer.from(signedText({ version, files })), privateKey).toString('base64');
  await writeFile(path, `${yaml.trimEnd()}\nweftSignature: ${signature}\n`);
  console.log(`signed: ${path} (${version})`);
}
