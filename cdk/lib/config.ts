/** The deployment configuration: one JSON file, parsed strictly, every problem reported at once. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { RegionInfo } from 'aws-cdk-lib/region-info';
import { z } from 'zod';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** What CloudWatch Logs accepts; `RetentionDays` also has INFINITE (9999), which is no number of days. */
const RETENTION_DAYS = Object.values(RetentionDays).filter((days): days is number => Number(days) < 9999);

/**
 * A workflow file and a ref of it. The file is exact: whoever may add a workflow beside it must not become an invoker.
 * The ref is a commit, or a branch or tag of which only the end may be open (`refs/tags/v1.*`).
 */
const JOB_WORKFLOW_REF =
  /^[\w.-]+\/[\w.-]+\/\.github\/workflows\/[\w.-]+\.ya?ml@(refs\/(heads|tags)\/[\w./-]+\*?|[0-9a-f]{40})$/;

/** A value that is missing or of another type, and a value of the right type that is wrong, have the same remedy. */
const text = (pattern: RegExp, remedy: string) => z.string(remedy).regex(pattern, remedy);
const wholeNumber = (low: number, high: number, remedy: string) => z.int(remedy).min(low, remedy).max(high, remedy);

const accountId = (whose: string) => text(/^\d{12}$/, `must be the 12 digits of ${whose}, as a string`);
const region = (what: string) => text(/^[a-z]{2}(-[a-z]+)+-\d$/, `must be ${what}, for example us-east-1`);
const path = (what: string) => text(/./, `must be the path of ${what}, relative to this file`);
const list = <T extends z.ZodType>(item: T, most: number, remedy: string) =>
  z.array(item, remedy).min(1, remedy).max(most, remedy);

/** An object that refuses unknown keys and names the ones it knows. */
const object = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, {
    error: (issue) => {
      const known = `known here: ${Object.keys(shape).join(', ')}`;
      if (issue.code === 'unrecognized_keys') return `remove it or correct its spelling; ${known}`;
      return `must be an object; ${known}`;
    },
  });

/** A name that JSON Web Tokens have for something, and a text that is not empty. */
const claim = text(/^[\w.:/-]+$/, 'must be the name of a claim');
const someText = (remedy: string) => text(/./, remedy);
const claimName = text(/^[\w.:/-]+$/, 'must be what the tokens call it: the name of a claim').optional();
/** What the tokens of another kind of issuer have names of their own for. */
const claimNames = object({
  repository: claimName,
  repository_id: claimName,
  run_id: claimName,
  run_attempt: claimName,
  job_id: claimName,
  actor_id: claimName,
  workflow_ref: claimName,
  ref_protected: claimName,
  environment: claimName,
  event: claimName,
});
const WANTED = "must list 1 to 20 of the issuer's environments, or be any: a run need not be in one";
const USER_ATTRIBUTES = ['email', 'user_name', 'profile_url', 'nick_name', 'external_id'] as const;

/** Whose identity tokens prove who asks; prove (`tasks/prove/src/rules.rs`) reads the same, with the defaults filled in. */
const issuer = object({
  provider: z.enum(['github', 'gitlab', 'other'], 'must be github, gitlab or other: how the tokens name things'),
  url: text(
    /^(https:\/\/[^\s@]+|http:\/\/(127\.0\.0\.1|localhost)(:\d+)?(\/\S*)?)$/,
    "must be the tokens' `iss`, which begins with https://",
  )
    .refine((url) => URL.canParse(url), { error: 'must be a URL' })
    .optional(),
  claims: z
    .record(claim, list(someText('must be what the claim is, with * for any text'), 20, 'must list 1 to 20 patterns'))
    .refine((claims) => Object.keys(claims).length > 0, {
      error: 'must name at least one claim: without, everybody whom the issuer serves could ask',
    }),
  environments: z
    .record(z.string(), z.union([list(someText(WANTED), 20, WANTED), z.literal('any', WANTED)], WANTED))
    .default({}),
  names: claimNames.optional(),
  server: text(
    /^https:\/\/[^\s@/?#]+$/,
    'must be scheme and host of the pages of runs, such as https://github.com',
  ).optional(),
  person: object({
    claim,
    attribute: z.enum(USER_ATTRIBUTES, `must be one of ${USER_ATTRIBUTES.join(', ')}`),
    value: text(/\{\}/, 'must be what the attribute is, with {} for the claim').default('{}'),
  }).optional(),
}).superRefine((value, context) => {
  const missing = value.provider === 'other' ? (['url', 'person'] as const).filter((key) => !value[key]) : [];
  for (const key of missing) {
    context.addIssue({ code: 'custom', path: [key], message: 'must be given for a provider of kind other' });
  }
  if (value.provider !== 'other' && value.names) {
    const message = `must not be given: what the tokens of ${value.provider} call things is known`;
    context.addIssue({ code: 'custom', path: ['names'], message });
  }
});

/** What IAM takes as an external id. */
const externalId = text(/^[\w+=,.@:/-]{2,1224}$/, 'must be 2 to 1224 of the characters A-Z a-z 0-9 _ + = , . @ : / -');
const ACCEPTED = 'must list up to 4 external ids that targets accept besides external_id';
/** The rest of a trust policy, of which IAM takes 2,048 characters, needs some 400. */
const MOST_OF_EXTERNAL_IDS = 1600;

const schema = object({
  hub: object({
    account_id: accountId('the account that Daypass runs in'),
    region: region('the region that Daypass runs in'),
  }),
  identity: object({
    store_id: text(
      /^d-[0-9a-f]{10}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
      'must be the identity store id, for example d-1234567890',
    ),
    account_id: accountId('the account that Identity Center is managed from').optional(),
    region: region('the region of Identity Center').optional(),
    kms_key_arn: text(
      /^arn:[\w-]+:kms:[a-z]{2}(-[a-z]+)+-\d:\d{12}:key\/[\w-]+$/,
      'must be the ARN of a KMS key (arn:aws:kms:…:key/…), not of an alias',
    ).optional(),
  }),
  github: object({
    owner: text(/^[A-Za-z0-9](-?[A-Za-z0-9])*$/, 'must be the user or organisation that owns the repositories'),
    owner_id: text(/^\d+$/, "must be the owner's numeric id, as a string").optional(),
    job_workflow_refs: list(
      text(
        JOB_WORKFLOW_REF,
        'must be owner/repo/.github/workflows/file.yml@ref; ref is refs/heads/…, refs/tags/…, or a commit',
      ),
      10,
      'must list 1 to 10 workflows that may call Daypass',
    ),
    oidc_provider_arn: text(
      /^arn:[\w-]+:iam::\d{12}:oidc-provider\/token\.actions\.githubusercontent\.com$/,
      "must be the ARN of the hub account's provider token.actions.githubusercontent.com",
    ).optional(),
  }).optional(),
  invoker_principal_arns: list(
    text(
      /^arn:[\w-]+:iam::\d{12}:(root|(role|user)\/[\w+=,.@/-]+)$/,
      'must be the ARN of a role, a user or an account root',
    ),
    10,
    'must list 1 to 10 principals that may assume the invoker role',
  ).optional(),
  external_id: externalId.optional(),
  accepted_external_ids: z
    .array(externalId, ACCEPTED)
    .max(4, ACCEPTED)
    .refine((ids) => new Set(ids).size === ids.length, 'lists an id twice; keep one')
    .optional(),
  minimum_role_ttl_seconds: wholeNumber(1, 86_400, 'must be a whole number of seconds from 1 to 86400').default(900),
  role_settle_seconds: wholeNumber(0, 60, 'must be a whole number of seconds from 0 to 60').optional(),
  log_retention_days: z
    .literal(RETENTION_DAYS, `must be one of ${RETENTION_DAYS.join(', ')}`)
    .default(RetentionDays.ONE_YEAR),
  architecture: z.enum(['x86_64', 'arm64'], 'must be x86_64 or arm64, as the functions were built').default('x86_64'),
  alarm_email: z.email('must be an e-mail address').optional(),
  personas_file: path('personas.json').optional(),
  assets_dir: path('the folder of built functions').optional(),
  identity_tokens: object({
    audience: text(/^[\w:/.-]{1,200}$/, 'must be 1 to 200 of the characters A-Z a-z 0-9 _ : / . -').optional(),
    required_in: z
      .never(
        'is gone, remove it: tokens are required in every environment, unless personas.json opens it with ' +
          '"identity_token": "optional"',
      )
      .optional(),
    issuers: z.array(issuer, 'must list up to 10 issuers; [] is none').max(10, 'must list up to 10 issuers').optional(),
  }).optional(),
  limits: object({
    open_roles_per_person: wholeNumber(1, 1_000, 'must be a whole number from 1 to 1000').default(20),
    open_roles_per_account: wholeNumber(1, 1_000, 'must be a whole number from 1 to 1000').default(200),
    accounts_per_job: wholeNumber(1, 100, 'must be a whole number from 1 to 100').default(1),
  }).prefault({}),
  organization: object({
    organizational_unit_ids: list(
      text(
        /^(ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32})$/,
        'must be the id of an organisational unit or of the root',
      ),
      100,
      'must list 1 to 100 organisational units whose accounts become targets',
    ),
    delegated_administrator: z
      .boolean('must be true when the stack set is deployed from a delegated administrator account, else false')
      .default(false),
  }).optional(),
})
  .refine((config) => config.github !== undefined || config.invoker_principal_arns !== undefined, {
    error: 'give github, invoker_principal_arns, or both: without one of them nobody could call Daypass',
    // Also beside other problems: all are reported at once.
    when: ({ value }) => typeof value === 'object' && value !== null && !Array.isArray(value),
  })
  .refine(
    ({ external_id = '', accepted_external_ids = [] }) => {
      return [external_id, ...accepted_external_ids].join('","').length <= MOST_OF_EXTERNAL_IDS;
    },
    {
      path: ['accepted_external_ids'],
      error: `must be shorter: with external_id the ids may have ${MOST_OF_EXTERNAL_IDS} characters, which fit into a trust policy`,
    },
  );

type Parsed = z.output<typeof schema>;
type Issuer = z.output<typeof issuer>;

/** What the issuers of a kind are unless told otherwise. */
const ISSUER_DEFAULTS = {
  github: {
    url: 'https://token.actions.githubusercontent.com',
    server: 'https://github.com',
    person: { claim: 'actor', attribute: 'profile_url', value: 'https://github.com/{}' },
  },
  gitlab: {
    url: 'https://gitlab.com',
    server: 'https://gitlab.com',
    person: { claim: 'user_email', attribute: 'email', value: '{}' },
  },
  other: {},
} as const;

/** Who proves what, as prove reads it. */
export interface IdentityTokens {
  readonly audience: string;
  /** The environments that personas.json opens; all of them, when there is no issuer. */
  readonly optional_in: readonly string[];
  readonly issuers: readonly (Issuer & Required<Pick<Issuer, 'url' | 'person'>>)[];
}

/** The configuration with every default filled in; paths are absolute, times in the unit that the key names. */
export interface Config extends Omit<
  Parsed,
  | 'identity'
  | 'role_settle_seconds'
  | 'external_id'
  | 'accepted_external_ids'
  | 'personas_file'
  | 'assets_dir'
  | 'identity_tokens'
> {
  readonly identity: {
    readonly store_id: string;
    readonly account_id: string;
    readonly region: string;
    /** The customer managed key that Identity Center encrypts its data with, if it does. */
    readonly kms_key_arn?: string | undefined;
  };
  /** Seconds after its creation until a role's policies can be expected to be in effect. */
  readonly role_settle_seconds: number;
  /** The external id that the hub's functions send. */
  readonly external_id: string;
  /** Other external ids that targets accept, while `external_id` is changed. */
  readonly accepted_external_ids: readonly string[];
  readonly identity_tokens: IdentityTokens;
  readonly personas_file: string;
  readonly assets_dir: string;
}

/** Every problem of one configuration file: where it is, and what to do about it. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(file: string, problems: readonly string[]) {
    super([`${file} cannot be used:`, ...problems.map((problem) => `  - ${problem}`)].join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/**
 * Parses the configuration.
 *
 * @param json content of the file
 * @param file its path: named in errors, and what relative paths in it are relative to
 * @throws ConfigError with every problem found
 */
export function parseConfig(json: string, file: string): Config {
  const result = schema.safeParse(parseJson(json, file));
  if (!result.success) throw new ConfigError(file, result.error.issues.flatMap(describe));
  const problems = together(result.data);
  if (problems.length > 0) throw new ConfigError(file, problems);

  const { hub, identity, accepted_external_ids, personas_file, assets_dir, identity_tokens, ...rest } = result.data;
  const external_id = rest.external_id ?? `daypass-${hub.account_id}`;
  const relativeToFile = (path: string) => resolve(dirname(file), path);
  return {
    ...rest,
    // Where roles may live for seconds, most of their time is left.
    role_settle_seconds: rest.role_settle_seconds ?? Math.min(10, Math.floor(rest.minimum_role_ttl_seconds / 2)),
    hub,
    identity: {
      store_id: identity.store_id,
      account_id: identity.account_id ?? hub.account_id,
      region: identity.region ?? hub.region,
      ...(identity.kms_key_arn && { kms_key_arn: identity.kms_key_arn }),
    },
    external_id,
    accepted_external_ids: accepted_external_ids?.filter((id) => id !== external_id) ?? [],
    identity_tokens: identityTokens(result.data, file),
    personas_file: personas_file ? relativeToFile(personas_file) : resolve(REPOSITORY, 'personas.json'),
    assets_dir: assets_dir ? relativeToFile(assets_dir) : resolve(REPOSITORY, 'target/lambda'),
  };
}

/** What is wrong with values that are right alone: AWS would refuse the deployment, or what it deploys. */
function together({ hub, identity, github, invoker_principal_arns, ...rest }: Parsed): string[] {
  const { partition } = RegionInfo.get(hub.region);
  if (partition === undefined) {
    return [`hub.region: ${hub.region} is no region of AWS, or a newer one than this version of Daypass knows`];
  }
  const arns: [string, string | undefined][] = [
    ['identity.kms_key_arn', identity.kms_key_arn],
    ['github.oidc_provider_arn', github?.oidc_provider_arn],
    ...(invoker_principal_arns ?? []).map((arn, i): [string, string] => [`invoker_principal_arns[${i}]`, arn]),
  ];
  const problems = arns
    .filter(([, arn]) => arn !== undefined && arn.split(':')[1] !== partition)
    .map(([key]) => `${key}: is of another partition than ${hub.region}: begin it with arn:${partition}:`);
  const provider = github?.oidc_provider_arn?.split(':')[4];
  if (provider !== undefined && provider !== hub.account_id) {
    problems.push(`github.oidc_provider_arn: is of account ${provider}; IAM takes one of the hub, ${hub.account_id}`);
  }
  const { role_settle_seconds: settle = 0 } = rest;
  if (settle > 0 && settle >= rest.minimum_role_ttl_seconds) {
    const least = `minimum_role_ttl_seconds (${rest.minimum_role_ttl_seconds})`;
    problems.push(`role_settle_seconds: must be less than ${least}: a role would end before it may be used`);
  }
  const units = rest.organization?.organizational_unit_ids ?? [];
  if (new Set(units).size < units.length) {
    problems.push('organization.organizational_unit_ids: lists a unit twice; keep one');
  }
  return problems;
}

/**
 * Fills in who proves what. Without a list of issuers GitHub is one, for the workflows that may become the invoker.
 *
 * @throws ConfigError when nobody could prove anything, and that is not what the file says
 */
function identityTokens({ hub, github, identity_tokens }: Parsed, file: string): IdentityTokens {
  const { audience, issuers } = identity_tokens ?? {};
  const given = issuers ?? (github ? [githubIssuer(github)] : undefined);
  if (given === undefined) {
    const problem =
      'identity_tokens.issuers: whoever asks must prove who they are, and no issuer of identity tokens is known: ' +
      'list issuers, or set it to [] and trust whoever may become the invoker to name the right person';
    throw new ConfigError(file, [problem]);
  }
  return {
    audience: audience ?? `daypass-${hub.account_id}-${hub.region}`,
    optional_in: [],
    issuers: given.map(withDefaults),
  };
}

function withDefaults(issuer: Issuer): IdentityTokens['issuers'][number] {
  const { server: _, ...defaults } = { server: undefined, ...ISSUER_DEFAULTS[issuer.provider] };
  const server = issuer.server ?? serverOf(issuer);
  return { ...defaults, ...issuer, ...(server && { server }) } as IdentityTokens['issuers'][number];
}

/** Where the runs of an issuer can be seen, as far as its `iss` tells. */
function serverOf({ provider, url }: Issuer): string | undefined {
  if (provider === 'other') return undefined;
  const { url: known, server } = ISSUER_DEFAULTS[provider];
  // An enterprise at github.com may have an `iss` of its own, below GitHub's.
  if (url === undefined || url === known || (provider === 'github' && url.startsWith(`${known}/`))) return server;
  // That of a GitHub Enterprise Server. What is at another address there is no telling.
  const tells = provider === 'gitlab' || url.endsWith('/_services/token');
  return tells && URL.canParse(url) ? new URL(url).origin : undefined;
}

function githubIssuer({ owner, owner_id, job_workflow_refs }: NonNullable<Parsed['github']>): Issuer {
  return {
    provider: 'github',
    claims: {
      ...(owner_id ? { repository_owner_id: [owner_id] } : { repository_owner: [owner] }),
      job_workflow_ref: job_workflow_refs,
      // What runs on a machine of one's own may have been there before.
      runner_environment: ['github-hosted'],
    },
    environments: {},
  };
}

/**
 * Reads and parses the configuration, and holds it against personas.json: the hub is not among the targets, and the
 * environments of issuers exist. Which environments are open to whoever proves nothing, that file says.
 *
 * @throws ConfigError when it cannot be read or has problems
 */
export function loadConfig(file: string): Config {
  const config = parseConfig(read(file, file, COPY_EXAMPLE), file);
  const { personas_file, identity_tokens } = config;
  // Only this of it matters here: the functions' own parser judges the file.
  const shape = z.looseObject({
    accounts: z.array(z.looseObject({ id: z.unknown().optional() })),
    environments: z.record(z.string(), z.looseObject({ identity_token: z.unknown().optional() })),
  });
  const personas = shape.safeParse(parseJson(read(personas_file, file, 'set personas_file'), personas_file)).data;
  const problems = personas ? againstPersonas(config, personas) : [];
  if (problems.length > 0) throw new ConfigError(file, problems);
  // Without an issuer nobody could prove anything: all are open.
  const isOpen = (identity_token: unknown) => identity_token === 'optional' || identity_tokens.issuers.length === 0;
  const environments = Object.entries(personas?.environments ?? {});
  const optional_in = environments.filter(([, { identity_token }]) => isOpen(identity_token)).map(([name]) => name);
  return { ...config, identity_tokens: { ...identity_tokens, optional_in } };
}

const COPY_EXAMPLE = 'copy cdk/daypass.config.example.json there, or set DAYPASS_CONFIG to where the configuration is';

interface Personas {
  readonly accounts: readonly { readonly id?: unknown }[];
  readonly environments: Readonly<Record<string, unknown>>;
}

function againstPersonas({ hub, identity_tokens, personas_file }: Config, personas: Personas): string[] {
  const problems: string[] = [];
  // A deploy role in the hub could rewrite the functions of Daypass, and with them reach every target.
  const index = personas.accounts.findIndex(({ id }) => id === hub.account_id);
  if (index !== -1) {
    problems.push(`accounts[${index}] of ${personas_file} is the hub: take it out, it must not be a target`);
  }
  const known = Object.keys(personas.environments);
  identity_tokens.issuers.forEach(({ environments }, issuer) => {
    for (const name of Object.keys(environments).filter((name) => !known.includes(name))) {
      const at = `identity_tokens.issuers[${issuer}].environments.${name}`;
      problems.push(`${at}: ${personas_file} has no environment ${name}; it has ${known.join(', ')}`);
    }
  });
  return problems;
}

function read(path: string, file: string, remedy: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(file, [`${path} cannot be read (${(cause as NodeJS.ErrnoException).code}): ${remedy}`]);
  }
}

function parseJson(json: string, file: string): unknown {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (cause) {
    throw new ConfigError(file, [`it must be JSON: ${(cause as Error).message}`]);
  }
  const repeated = repeatedKeys(json);
  if (repeated.length > 0)
    throw new ConfigError(
      file,
      repeated.map((key) =>
        key === '__proto__'
          ? `${key}: is no key, and would be lost; remove it`
          : `${key}: is in its object twice; keep one`,
      ),
    );
  return parsed;
}

/** The keys that an object has more than once, or that are lost: JSON.parse and the schema take what is left, and say nothing. */
function repeatedKeys(json: string): string[] {
  const repeated: string[] = [];
  /** The keys of each object that is open; of a list there are none. */
  const open: Set<string>[] = [];
  for (const [token, key] of json.matchAll(/("(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (key !== undefined) {
      const name = JSON.parse(key) as string;
      if (open.at(-1)?.has(name) || name === '__proto__') repeated.push(name);
      open.at(-1)?.add(name);
    }
  }
  return repeated;
}

function describe(issue: z.core.$ZodIssue): string[] {
  const at = (path: readonly PropertyKey[]) =>
    path
      .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
      .join('')
      .replace(/^\./, '');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${at([...issue.path, key])}: unknown key; ${issue.message}`);
  }
  return [issue.path.length === 0 ? issue.message : `${at(issue.path)}: ${issue.message}`];
}
