import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError, loadConfig, parseConfig } from '../lib/config.ts';

const FILE = '/etc/daypass/config.json';

const minimal = {
  hub: { account_id: '111111111111', region: 'us-east-1' },
  identity: { store_id: 'd-1234567890' },
  invoker_principal_arns: ['arn:aws:iam::111111111111:role/jenkins'],
  identity_tokens: { issuers: [] },
};
const github = { owner: 'octo', job_workflow_refs: ['octo/ci/.github/workflows/deploy.yml@refs/heads/main'] };
const organization = { organizational_unit_ids: ['ou-ab12-cdef3456'] };

const parse = (config: unknown) => parseConfig(JSON.stringify(config), FILE);

function problems(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('a configuration that can be used', () => {
  test('gets a default for everything that need not be said', () => {
    expect(parse(minimal)).toEqual({
      ...minimal,
      identity: { store_id: 'd-1234567890', account_id: '111111111111', region: 'us-east-1' },
      external_id: 'daypass-111111111111',
      accepted_external_ids: [],
      identity_tokens: { audience: 'daypass-111111111111-us-east-1', optional_in: [], issuers: [] },
      limits: { open_roles_per_person: 20, open_roles_per_account: 200, accounts_per_job: 1 },
      minimum_role_ttl_seconds: 900,
      role_settle_seconds: 10,
      log_retention_days: 365,
      architecture: 'x86_64',
      personas_file: expect.stringMatching(/^\/.*\/personas\.json$/),
      assets_dir: expect.stringMatching(/^\/.*\/target\/lambda$/),
    });
  });

  test.each([
    [900, 10],
    [15, 7],
    [1, 0],
  ])('leaves a role of at least %i seconds alone for %i', (minimum_role_ttl_seconds, settle) => {
    expect(parse({ ...minimal, minimum_role_ttl_seconds }).role_settle_seconds).toBe(settle);
  });

  test('may accept external_id itself, which is accepted anyway', () => {
    const ids = (external_id: string | undefined) =>
      parse({ ...minimal, external_id, accepted_external_ids: ['daypass-111111111111', 'next'] });
    expect(ids(undefined)).toMatchObject({ accepted_external_ids: ['next'] });
    expect(ids('next')).toMatchObject({ accepted_external_ids: ['daypass-111111111111'] });
    expect(parse({ ...minimal, external_id: 'a'.repeat(800), accepted_external_ids: ['b'.repeat(797)] })).toBeDefined();
  });

  describe('identity tokens', () => {
    const tokens = (config: object) => parse({ ...minimal, ...config }).identity_tokens;

    test('are required, and GitHub issues them to the workflows that may call', () => {
      expect(tokens({ identity_tokens: undefined, github: { ...github, owner_id: '42' } })).toEqual({
        audience: 'daypass-111111111111-us-east-1',
        optional_in: [],
        issuers: [
          {
            provider: 'github',
            url: 'https://token.actions.githubusercontent.com',
            claims: {
              repository_owner_id: ['42'],
              job_workflow_ref: github.job_workflow_refs,
              runner_environment: ['github-hosted'],
            },
            environments: {},
            server: 'https://github.com',
            person: { claim: 'actor', attribute: 'profile_url', value: 'https://github.com/{}' },
          },
        ],
      });
      expect(tokens({ identity_tokens: {}, github }).issuers[0]?.claims).toMatchObject({ repository_owner: ['octo'] });
    });

    test('of other issuers are told apart as those name things', () => {
      const claims = { namespace_id: ['11'] };
      const person = { claim: 'email', attribute: 'user_name' };
      const other = { provider: 'other', url: 'https://ci.example.com', claims: { org: ['1'] }, person };
      expect(tokens({ identity_tokens: { issuers: [{ provider: 'gitlab', claims }, other] } }).issuers).toEqual([
        {
          provider: 'gitlab',
          url: 'https://gitlab.com',
          claims,
          environments: {},
          server: 'https://gitlab.com',
          person: { claim: 'user_email', attribute: 'email', value: '{}' },
        },
        { ...other, environments: {}, person: { ...person, value: '{}' } },
      ]);
    });

    test.each<[string, object, string | undefined]>([
      ['github.com', { provider: 'github' }, 'https://github.com'],
      [
        'an enterprise at github.com',
        { provider: 'github', url: 'https://token.actions.githubusercontent.com/octo' },
        'https://github.com',
      ],
      [
        'a GitHub Enterprise Server',
        { provider: 'github', url: 'https://github.example.com:8443/_services/token' },
        'https://github.example.com:8443',
      ],
      ['GitHub at another address', { provider: 'github', url: 'https://token.actions.octo.ghe.com' }, undefined],
      ['gitlab.com', { provider: 'gitlab' }, 'https://gitlab.com'],
      [
        'a GitLab of one’s own',
        { provider: 'gitlab', url: 'https://gitlab.example.com/git' },
        'https://gitlab.example.com',
      ],
      [
        'another kind of issuer',
        { provider: 'other', url: 'https://ci.example.com', person: { claim: 'sub', attribute: 'email' } },
        undefined,
      ],
      ['what is given', { provider: 'gitlab', server: 'https://git.example.com' }, 'https://git.example.com'],
    ])('say where the runs of %s are seen', (_, issuer, server) => {
      const [parsed] = tokens({ identity_tokens: { issuers: [{ claims: { org: ['1'] }, ...issuer }] } }).issuers;
      // prove cannot read one that is empty.
      expect(JSON.parse(JSON.stringify(parsed)).server).toBe(server);
      expect(Object.hasOwn(parsed ?? {}, 'server')).toBe(server !== undefined);
    });

    test('may leave it to a run in which of the issuer’s environments it is, and name claims of another kind', () => {
      const environments = { production: ['live', 'live-eu'], staging: 'any' };
      const names = { repository: 'pipeline', job_id: 'job', ref_protected: 'protected' };
      const person = { claim: 'email', attribute: 'email' };
      const other = { provider: 'other', url: 'https://ci.example.com', claims: { org: ['1'] }, person };
      const [parsed] = tokens({ identity_tokens: { issuers: [{ ...other, environments, names }] } }).issuers;
      expect(parsed).toMatchObject({ environments, names });
    });
  });

  test('has paths relative to the file that they stand in', () => {
    const { personas_file, assets_dir } = parse({ ...minimal, personas_file: 'p.json', assets_dir: '../build' });
    expect({ personas_file, assets_dir }).toEqual({
      personas_file: '/etc/daypass/p.json',
      assets_dir: '/etc/build',
    });
  });

  test.each([
    ['an identity store with a UUID', { identity: { store_id: '1234abcd-12ab-34cd-56ef-1234567890ab' } }],
    ['GitHub alone', { invoker_principal_arns: undefined, github }],
    ['GitHub and other principals', { github }],
    [
      "an owner's id and an existing provider",
      {
        github: {
          ...github,
          owner_id: '42',
          oidc_provider_arn: 'arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com',
        },
      },
    ],
    [
      'a pinned workflow',
      {
        github: { ...github, job_workflow_refs: [`octo/ci/.github/workflows/a.yaml@${'0a'.repeat(20)}`] },
      },
    ],
    ['a range of tags', { github: { ...github, job_workflow_refs: ['o/r/.github/workflows/a.yml@refs/tags/v1.*'] } }],
    ['an account root', { invoker_principal_arns: ['arn:aws:iam::111111111111:root'] }],
    [
      'GovCloud',
      {
        hub: { account_id: '111111111111', region: 'us-gov-west-1' },
        invoker_principal_arns: ['arn:aws-us-gov:iam::111111111111:root'],
      },
    ],
    ['leases of a second', { minimum_role_ttl_seconds: 1 }],
    ['other limits', { limits: { open_roles_per_person: 1, open_roles_per_account: 1000, accounts_per_job: 100 } }],
    ['the root of the organisation', { organization: { organizational_unit_ids: ['r-ab12'] } }],
  ])('may have %s', (_, changes) => {
    expect(problems(() => parse({ ...minimal, ...changes }))).toEqual([]);
  });
});

describe('a problem is reported with its path and its remedy', () => {
  const workflow = (ref: unknown) => ({ github: { ...github, job_workflow_refs: [ref] } });

  const issuer = (changes: object) => ({
    identity_tokens: { issuers: [{ provider: 'gitlab', claims: { namespace_id: ['11'] }, ...changes }] },
  });

  test.each<[string, object, string]>([
    [
      'nobody to prove anything',
      { identity_tokens: undefined },
      'identity_tokens.issuers: whoever asks must prove who they are, and no issuer of identity tokens is known: list ' +
        'issuers, or set it to [] and trust whoever may become the invoker to name the right person',
    ],
    [
      'nobody to prove anything, in other words',
      { identity_tokens: { audience: 'daypass' } },
      'identity_tokens.issuers: whoever asks must prove who they are, and no issuer of identity tokens is known',
    ],
    [
      'environments that are closed by name',
      { identity_tokens: { required_in: ['production'], issuers: [] } },
      'identity_tokens.required_in: is gone, remove it: tokens are required in every environment, unless personas.json ' +
        'opens it with "identity_token": "optional"',
    ],
    [
      'an environment with a list of nothing',
      issuer({ environments: { production: [] } }),
      "identity_tokens.issuers[0].environments.production: must list 1 to 20 of the issuer's environments, or be any: a " +
        'run need not be in one',
    ],
    [
      'an environment that is opened with another word',
      issuer({ environments: { production: 'all' } }),
      "identity_tokens.issuers[0].environments.production: must list 1 to 20 of the issuer's environments, or be any: a",
    ],
    [
      'other names of what GitLab calls things',
      issuer({ names: { repository: 'project' } }),
      'identity_tokens.issuers[0].names: must not be given: what the tokens of gitlab call things is known',
    ],
    [
      'a name of something that nobody asks for',
      issuer({
        provider: 'other',
        url: 'https://ci.example.com',
        person: { claim: 'email', attribute: 'email' },
        names: { colour: 'colour' },
      }),
      'identity_tokens.issuers[0].names.colour: unknown key; remove it or correct its spelling; known here: repository, ',
    ],
    [
      'a server with a path',
      issuer({ server: 'https://gitlab.example.com/git' }),
      'identity_tokens.issuers[0].server: must be scheme and host of the pages of runs, such as https://github.com',
    ],
    [
      'no open role at all',
      { limits: { open_roles_per_person: 0 } },
      'limits.open_roles_per_person: must be a whole number from 1 to 1000',
    ],
    [
      'roles without end',
      { limits: { open_roles_per_account: 1001 } },
      'limits.open_roles_per_account: must be a whole number from 1 to 1000',
    ],
    [
      'a job for everything',
      { limits: { accounts_per_job: 101 } },
      'limits.accounts_per_job: must be a whole number from 1 to 100',
    ],
    [
      'an issuer of everybody',
      issuer({ claims: {} }),
      'identity_tokens.issuers[0].claims: must name at least one claim: without, everybody whom the issuer serves could ask',
    ],
    [
      'an issuer that anybody can pretend to be',
      issuer({ url: 'http://gitlab.example.com' }),
      "identity_tokens.issuers[0].url: must be the tokens' `iss`, which begins with https://",
    ],
    [
      'an issuer of another kind without its address',
      issuer({ provider: 'other', person: { claim: 'email', attribute: 'email' } }),
      'identity_tokens.issuers[0].url: must be given for a provider of kind other',
    ],
    [
      'an attribute that users do not have',
      issuer({ person: { claim: 'login', attribute: 'phone' } }),
      'identity_tokens.issuers[0].person.attribute: must be one of email, user_name, profile_url, nick_name, external_id',
    ],
    ['a missing section', { hub: undefined }, 'hub: must be an object; known here: account_id, region'],
    ['a section of another type', { hub: 'x' }, 'hub: must be an object; known here: account_id, region'],
    ['a missing value', { identity: {} }, 'identity.store_id: must be the identity store id, for example d-1234567890'],
    [
      'an account as a number',
      { hub: { account_id: 111111111111, region: 'us-east-1' } },
      'hub.account_id: must be the 12 digits of the account that Daypass runs in, as a string',
    ],
    [
      'an account of other digits',
      { hub: { account_id: '１１１１１１１１１１１１', region: 'us-east-1' } },
      'hub.account_id: must be the 12 digits of the account that Daypass runs in, as a string',
    ],
    [
      'a region that is none',
      { hub: { account_id: '111111111111', region: 'Virginia' } },
      'hub.region: must be the region that Daypass runs in, for example us-east-1',
    ],
    [
      'an unknown key',
      { hubb: {} },
      'hubb: unknown key; remove it or correct its spelling; known here: hub, identity, ',
    ],
    [
      'an unknown key further down',
      { hub: { account_id: '111111111111', region: 'us-east-1', regio: 1 } },
      'hub.regio: unknown key; remove it or correct its spelling; known here: account_id, region',
    ],
    ['nobody who may call', { invoker_principal_arns: undefined }, 'give github, invoker_principal_arns, or both'],
    [
      'an empty list',
      { invoker_principal_arns: [] },
      'invoker_principal_arns: must list 1 to 10 principals that may assume the invoker role',
    ],
    [
      'too long a list',
      { invoker_principal_arns: Array(11).fill('arn:aws:iam::111111111111:root') },
      'invoker_principal_arns: must list 1 to 10 principals',
    ],
    [
      'everyone',
      { invoker_principal_arns: ['*'] },
      'invoker_principal_arns[0]: must be the ARN of a role, a user or an account root',
    ],
    [
      'a pattern of roles',
      { invoker_principal_arns: ['arn:aws:iam::111111111111:role/*'] },
      'invoker_principal_arns[0]: must be the ARN of a role',
    ],
    [
      'an owner that is a pattern',
      { github: { ...github, owner: 'oct*' } },
      'github.owner: must be the user or organisation that owns the repositories',
    ],
    [
      'a workflow without a ref',
      workflow('o/r/.github/workflows/a.yml'),
      'github.job_workflow_refs[0]: must be owner/repo',
    ],
    [
      'any ref of a workflow',
      workflow('o/r/.github/workflows/a.yml@*'),
      'github.job_workflow_refs[0]: must be owner/repo',
    ],
    [
      'any branch of a workflow',
      workflow('o/r/.github/workflows/a.yml@refs/heads/*'),
      'github.job_workflow_refs[0]: must be owner/repo',
    ],
    [
      'any workflow',
      workflow('o/r/.github/workflows/*.yml@refs/heads/main'),
      'github.job_workflow_refs[0]: must be owner/repo',
    ],
    [
      'any repository',
      workflow('o/*/.github/workflows/a.yml@refs/heads/main'),
      'github.job_workflow_refs[0]: must be owner/repo',
    ],
    [
      "another issuer's provider",
      { github: { ...github, oidc_provider_arn: 'arn:aws:iam::111111111111:oidc-provider/x' } },
      "github.oidc_provider_arn: must be the ARN of the hub account's provider",
    ],
    [
      'more than four accepted external ids',
      { accepted_external_ids: ['a1', 'a2', 'a3', 'a4', 'a5'] },
      'accepted_external_ids: must list up to 4 external ids',
    ],
    [
      'accepted external ids that are no list',
      { accepted_external_ids: 'a1' },
      'accepted_external_ids: must list up to 4 external ids',
    ],
    [
      'an accepted external id with a space',
      { accepted_external_ids: ['a b'] },
      'accepted_external_ids[0]: must be 2 to 1224 of the characters',
    ],
    [
      'an accepted external id twice',
      { accepted_external_ids: ['next', 'next'] },
      'accepted_external_ids: lists an id twice',
    ],
    [
      'external ids that do not fit into a trust policy',
      { external_id: 'a'.repeat(800), accepted_external_ids: ['b'.repeat(798)] },
      'accepted_external_ids: must be shorter: with external_id the ids may have 1600 characters',
    ],
    ['an external id with a space', { external_id: 'a b' }, 'external_id: must be 2 to 1224 of the characters'],
    [
      'a lifetime that is too short',
      { minimum_role_ttl_seconds: 0 },
      'minimum_role_ttl_seconds: must be a whole number of seconds from 1 to 86400',
    ],
    [
      'a lifetime with a fraction',
      { minimum_role_ttl_seconds: 1.5 },
      'minimum_role_ttl_seconds: must be a whole number',
    ],
    [
      'a wait of hours',
      { role_settle_seconds: 61 },
      'role_settle_seconds: must be a whole number of seconds from 0 to 60',
    ],
    [
      'an alias as the key of Identity Center',
      { identity: { store_id: 'd-1234567890', kms_key_arn: 'arn:aws:kms:us-east-1:444444444444:alias/identity' } },
      'identity.kms_key_arn: must be the ARN of a KMS key (arn:aws:kms:…:key/…), not of an alias',
    ],
    ['a lifetime as text', { minimum_role_ttl_seconds: '900' }, 'minimum_role_ttl_seconds: must be a whole number'],
    [
      'a retention that does not exist',
      { log_retention_days: 100 },
      'log_retention_days: must be one of 1, 3, 5, 7, 14',
    ],
    ['retention forever', { log_retention_days: 9999 }, 'log_retention_days: must be one of'],
    ['an unknown architecture', { architecture: 'riscv' }, 'architecture: must be x86_64 or arm64'],
    ['no e-mail address', { alarm_email: 'me' }, 'alarm_email: must be an e-mail address'],
    ['an empty path', { personas_file: '' }, 'personas_file: must be the path of personas.json, relative to this file'],
    [
      'an account as organisational unit',
      { organization: { organizational_unit_ids: ['111111111111'] } },
      'organization.organizational_unit_ids[0]: must be the id of an organisational unit or of the root',
    ],
    [
      'a flag as text',
      { organization: { ...organization, delegated_administrator: 'yes' } },
      'organization.delegated_administrator: must be true when',
    ],
  ])('%s', (_, changes, problem) => {
    const found = problems(() => parse({ ...minimal, ...changes }));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(problem);
  });

  test('all of them at once, under the name of the file', () => {
    const run = () => parse({ hub: { account_id: '1', region: 'x' }, identity: {}, colour: 'red' });
    expect(problems(run)).toHaveLength(5);
    expect(run).toThrow(/^\/etc\/daypass\/config\.json cannot be used:\n( {2}- .+\n?){5}$/);
  });

  test.each([['[]'], ['null'], ['"hub"'], ['7']])('a file that holds %s', (json) => {
    expect(problems(() => parseConfig(json, FILE))).toEqual([expect.stringContaining('must be an object')]);
  });

  test.each([
    ['{"identity_tokens": {"issuers": []}, "identity_tokens": {}}', 'identity_tokens'],
    ['{"hub": {"region": 1, "account_id": [{}], "region" : 2}}', 'region'],
    ['{"a\\u0062": 1, "x": "\\"ab\\": 1", "ab": [1, {"ab": 2}]}', 'ab'],
  ])('a key that is there twice: %s', (json, key) => {
    expect(problems(() => parseConfig(json, FILE))).toEqual([`${key}: is in its object twice; keep one`]);
  });

  test('a key that would be lost', () => {
    const issuer = '{"provider": "other", "claims": {"__proto__": ["42"], "x": ["*"]}}';
    expect(problems(() => parseConfig(`{"identity_tokens": {"issuers": [${issuer}]}}`, FILE))).toEqual([
      '__proto__: is no key, and would be lost; remove it',
    ]);
  });

  const PROVIDER = 'oidc-provider/token.actions.githubusercontent.com';
  test.each<[object, string]>([
    [{ hub: { ...minimal.hub, region: 'mx-north-7' } }, 'hub.region: mx-north-7 is no region of AWS'],
    [
      { invoker_principal_arns: ['arn:aws-cn:iam::111111111111:root'] },
      'invoker_principal_arns[0]: is of another partition than us-east-1: begin it with arn:aws:',
    ],
    [
      { github: { ...github, oidc_provider_arn: `arn:aws:iam::222222222222:${PROVIDER}` } },
      'github.oidc_provider_arn: is of account 222222222222; IAM takes one of the hub, 111111111111',
    ],
    [
      { minimum_role_ttl_seconds: 10, role_settle_seconds: 10 },
      'role_settle_seconds: must be less than minimum_role_ttl_seconds (10)',
    ],
    [
      { organization: { organizational_unit_ids: ['r-ab12', 'r-ab12'] } },
      'organization.organizational_unit_ids: lists a unit twice',
    ],
  ])('values that are wrong together: %j', (changes, problem) => {
    expect(problems(() => parse({ ...minimal, ...changes }))).toEqual([expect.stringContaining(problem)]);
  });

  test('a file that is not JSON', () => {
    expect(problems(() => parseConfig('{"hub": }', FILE))).toEqual([expect.stringMatching(/^it must be JSON: .+/)]);
  });
});

describe('reading the file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'daypass-config-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  const issuers = [{ provider: 'gitlab', claims: { namespace_id: ['11'] } }];

  function read(accounts: unknown, changes = {}, environments: object = { staging: {}, sandbox: {} }) {
    writeFileSync(join(directory, 'personas.json'), JSON.stringify({ accounts, environments }));
    writeFileSync(
      join(directory, 'config.json'),
      JSON.stringify({ ...minimal, personas_file: 'personas.json', ...changes }),
    );
    return loadConfig(join(directory, 'config.json'));
  }
  const load = (accounts: unknown, changes = {}) => problems(() => read(accounts, changes));

  test('accepts targets beside the hub', () => {
    expect(load([{ id: '222222222222', name: 'a' }])).toEqual([]);
  });

  test('refuses the hub as a target', () => {
    expect(load([{ name: 'a' }, { id: '111111111111' }])).toEqual([
      expect.stringMatching(/^accounts\[1\] of .*personas\.json is the hub: take it out/),
    ]);
  });

  test('refuses environments of issuers that personas.json does not have', () => {
    const of = (environments: object) => ({ identity_tokens: { issuers: [{ ...issuers[0], environments }] } });
    expect(load([], of({ staging: ['staging'], sandbox: 'any' }))).toEqual([]);
    expect(load([], of({ production: ['production'] }))).toEqual([
      expect.stringMatching(
        /^identity_tokens\.issuers\[0\]\.environments\.production: .* has no environment production; it has staging, sandbox$/,
      ),
    ]);
  });

  test('learns from personas.json which environments are open', () => {
    const environments = {
      production: { identity_token: 'required' },
      staging: {},
      sandbox: { identity_token: 'optional' },
      lab: { identity_token: 'optional' },
    };
    const optional = (tokens: object) =>
      read([], { identity_tokens: tokens }, environments).identity_tokens.optional_in;
    expect(optional({ issuers })).toEqual(['sandbox', 'lab']);
    expect(optional({ issuers: [] })).toEqual(Object.keys(environments));
  });

  test('says where personas.json should have been', () => {
    expect(load([], { personas_file: 'absent.json' })).toEqual([
      expect.stringMatching(/absent\.json cannot be read \(ENOENT\): set personas_file/),
    ]);
  });

  test('says what to do when there is no configuration', () => {
    expect(problems(() => loadConfig('/nowhere/config.json'))).toEqual([
      expect.stringMatching(
        /cannot be read \(ENOENT\): copy cdk\/daypass\.config\.example\.json there, or set DAYPASS_CONFIG/,
      ),
    ]);
  });

  test('accepts the example, which shows every key', () => {
    const file = new URL('../daypass.config.example.json', import.meta.url).pathname;
    const example = JSON.parse(readFileSync(file, 'utf8'));
    const config = parseConfig(JSON.stringify(example), file);
    expect(Object.keys(example).sort()).toEqual(Object.keys(config).sort());
  });
});
