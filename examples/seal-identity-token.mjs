// Encrypts the identity token of a CI run to Daypass: reads the token from standard input, writes what a request has as
// `identity_token`. Needs Node.js and nothing else.
//
//   node seal-identity-token.mjs KEY < token
//
// KEY is the public key as `aws kms get-public-key --query PublicKey --output text` prints it.
// The result is a JWE in compact form (RFC 7516) with RSA-OAEP-256 and A256GCM, as any JOSE library makes it.
import { constants, createCipheriv, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

const [, , spki] = process.argv;
const token = readFileSync(0, 'utf8').trim();
if (!spki || !token) {
  console.error('usage: node seal-identity-token.mjs KEY < token');
  process.exit(2);
}

const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
const key = createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' });
const header = base64url(JSON.stringify({ alg: 'RSA-OAEP-256', enc: 'A256GCM' }));
const contentKey = randomBytes(32);
const nonce = randomBytes(12);
const cipher = createCipheriv('aes-256-gcm', contentKey, nonce).setAAD(Buffer.from(header));
const sealed = Buffer.concat([cipher.update(token, 'utf8'), cipher.final()]);
const encryptedKey = publicEncrypt(
  { key, oaepHash: 'sha256', padding: constants.RSA_PKCS1_OAEP_PADDING },
  contentKey,
);
console.log([header, ...[encryptedKey, nonce, sealed, cipher.getAuthTag()].map(base64url)].join('.'));
