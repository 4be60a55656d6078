#!/usr/bin/env node
// Stands in for the daypass binary: notes how it was called in $FAKE_LOG, with what its configuration files say, and answers as
// $FAKE_LOG.answer says, else $FAKE.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';

const argv = process.argv.slice(2);
const note = (what) => appendFileSync(process.env.FAKE_LOG, `${JSON.stringify(what)}\n`);
const text = (file) => (file && existsSync(file) ? readFileSync(file, 'utf8') : undefined);
const variables = ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE', 'DAYPASS_CONFIG_FILE'];
const files = Object.fromEntries(variables.map((name) => [name, text(process.env[name])]));
note({ argv, env: process.env, pid: process.pid, files, program: process.argv[1] });
const { fake = process.env.FAKE, status = 'deprovisioned' } = JSON.parse(
  text(`${process.env.FAKE_LOG}.answer`) ?? '{}',
);

const refuse = (code, refusal) => {
  console.error(JSON.stringify(refusal));
  process.exit(code);
};

const [command, ...rest] = argv.filter((word) => !['--output', 'json', '--once'].includes(word));
switch (`${fake ?? ''} ${command}`) {
  case 'denied request':
    console.error('requesting a role in payments-dev');
    refuse(77, {
      error: 'Daypass.NotAMember',
      reason: '`mallory@example.com` is not in the group <b>|',
      remedy: 'ask to be added',
      docs: 'https://example.com/errors.md#daypassnotamember',
      transaction_id: rest[1],
      status: 'denied',
    });
    break;
  case 'broken request':
    refuse(75, { error: 'Daypass.AwsUnavailable', reason: 'no answer' });
    break;
  case 'commanding request':
    console.error('::add-path::/evil');
    console.error(' \u2003 ::set-output name=x::y');
    console.error('now ##[add-path]/evil, \u034f::add-path::/evil and #\u00ad#[add-path]/evil \u001b[2J\u202e');
    console.error('no JSON');
    process.exit(70);
    break;
  case 'babbling request':
    console.log('ASIAGRANTED granted-secret');
    break;
  case 'slow request':
    for (const signal of ['SIGINT', 'SIGTERM']) {
      process.on(signal, () => {
        console.error(`got ${signal}`);
        process.exit(130);
      });
    }
    console.error('asking');
    setInterval(() => {}, 1000);
    break;
  case 'broken release':
    refuse(75, { error: null, reason: 'no answer', remedy: 'try again', docs: null, status: null });
    break;
  case 'refused release':
    refuse(70, {
      error: 'Daypass.TransactionMismatch',
      reason: 'it is another one',
      remedy: 'look at the id',
      docs: 'https://example.com/errors.md#daypasstransactionmismatch',
      status: 'failed',
    });
    break;
  case 'unknown release':
    refuse(70, { error: 'Daypass.TransactionNotFound', reason: 'there is no transaction', status: 'failed' });
    break;
  case 'unconfirmed release':
    refuse(75, { error: null, reason: 'it keeps trying', remedy: 'wait for it', docs: null, status: 'unconfirmed' });
    break;
  default:
    if (command === 'release') {
      console.log(JSON.stringify({ transaction_id: rest.at(-1), status }));
    }
    console.error(`progress of ${command}`);
    if (command === 'request') {
      console.log(
        JSON.stringify({
          transaction_id: rest[1],
          iam_role_arn: `arn:aws:iam::222222222222:role/daypass/daypass-${rest[1]}`,
          role_name: fake === 'injecting' ? 'role\nevil=1' : `daypass-${rest[1]}`,
          role_ttl_hours: 0.5,
          expires_at: '2026-01-01T00:30:00Z',
          persona: 'Product_Admin',
          status: 'provisioned',
          account: 'payments-dev',
          account_id: '222222222222',
          email: 'alex@example.com',
          branch: 'feature/a_b_c',
        }),
      );
    }
    if (command === 'credentials') {
      console.log(
        JSON.stringify({
          Version: 1,
          AccessKeyId: 'ASIAGRANTED',
          SecretAccessKey: 'granted-secret',
          SessionToken: 'granted-token',
          Expiration: '2026-01-01T01:00:00Z',
        }),
      );
    }
}
