/**
 * What is said and decided before a deployment begins: whether these credentials are of the right account, what is there
 * already, and how the CDK CLI has to go about it so that a deployment that fails can simply be repeated.
 */
import type { Config } from './config.ts';
import {
  HUB_STACK,
  IDENTITY_READER_ROLE,
  IDENTITY_STACK,
  INVOKER_ROLE,
  PROVISIONER_ROLE,
  TARGET_STACK,
  TARGETS_STACK,
} from './names.ts';

export const STACKS = [HUB_STACK, TARGET_STACK, TARGETS_STACK, IDENTITY_STACK] as const;
export type StackName = (typeof STACKS)[number];

/** An identity provider of the account, as far as it matters here. */
export interface Provider {
  readonly arn: string;
  readonly clientIds: readonly string[];
  /** Whether the stack has made it. */
  readonly ofStack: boolean;
}

/** What AWS says before the deployment. */
export interface Situation {
  /** Whose credentials these are: an ARN of IAM or STS. */
  readonly caller: string;
  readonly account: string;
  readonly region: string;
  /** `StackStatus` of CloudFormation; nothing where there is no stack. */
  readonly status?: string;
  readonly terminationProtection?: boolean;
  /** The account's provider for GitHub; looked up for the hub only. */
  readonly github?: Provider;
  /** Whether the account has the role that the stack is known by, without it being the stack's. */
  readonly takenRole?: string;
}

/** The role of each stack: IAM's names are the same in all regions, so a second stack in another one cannot make it again. */
export const ROLE_OF: Partial<Record<StackName, string>> = {
  [HUB_STACK]: INVOKER_ROLE,
  [TARGET_STACK]: PROVISIONER_ROLE,
  [IDENTITY_STACK]: IDENTITY_READER_ROLE,
};

/** How to go on. */
export interface Plan {
  /** What will be done, in words: `creates`, `updates`. */
  readonly does: string;
  /** Options for `cdk deploy`. */
  readonly options: readonly string[];
  /** Whether CloudFormation would refuse the CDK CLI to delete what is left of a failed creation. */
  readonly unprotect: boolean;
}

/** Why nothing is deployed: every reason, each with what to do. */
export class PreflightError extends Error {
  constructor(stack: string, problems: readonly string[]) {
    super([`${stack} is not deployed:`, ...problems.map((problem) => `  - ${problem}`)].join('\n'));
  }
}

/**
 * Decides how a stack is deployed.
 *
 * A first deployment that fails is not rolled back: what it has made stays, and the next one goes on from there. Rolling
 * back would not help: the stack is protected against deletion from its first moment, and so are its tables. An update
 * that fails is rolled back, so that the deployment in use stays whole.
 *
 * @throws PreflightError when it would go to the wrong account, or fail half-way for a reason that can be seen before
 */
export function plan(stack: StackName, config: Config, accounts: readonly string[], situation: Situation): Plan {
  const problems = [...inAccount(stack, config, situation), ...taken(stack, situation)];
  // Whose provider it is, is only known where the stack is.
  if (problems.length === 0) problems.push(...withProvider(stack, config, situation));
  const { status = 'DELETE_COMPLETE', terminationProtection = false } = situation;
  const known = STATUSES.find(([pattern]) => pattern.test(status));
  const [, how] = known ?? [undefined, { problem: `CloudFormation says ${status}, which is not known here` }];
  if ('problem' in how) problems.push(`the stack is in ${status}: ${how.problem}`);
  if (problems.length > 0 || 'problem' in how) throw new PreflightError(stack, problems);
  const does = `${how.does.replace('{}', status)} in ${intoAccount(stack, config, accounts, situation.account)}`;
  return {
    does,
    options: [how.option],
    unprotect: /^ROLLBACK_(COMPLETE|FAILED)$/.test(status) && terminationProtection,
  };
}

type How = { readonly does: string; readonly option: string } | { readonly problem: string };

/** What each state of a stack asks for. What is under way the CDK CLI waits for. */
const STATUSES: readonly (readonly [RegExp, How])[] = [
  [/^(REVIEW_IN_PROGRESS|DELETE_COMPLETE)$/, { does: 'creates it', option: '--no-rollback' }],
  [
    /^(CREATE|UPDATE)_FAILED$/,
    { does: 'goes on where the last deployment has stopped ({}),', option: '--no-rollback' },
  ],
  [/^CREATE_IN_PROGRESS$/, { does: 'waits for its creation, then updates it', option: '--no-rollback' }],
  [
    /^ROLLBACK_(COMPLETE|FAILED|IN_PROGRESS)$/,
    { does: 'deletes what is left of its first deployment ({}), and creates it again', option: '--no-rollback' },
  ],
  [/^DELETE_IN_PROGRESS$/, { does: 'waits for its deletion, then creates it', option: '--no-rollback' }],
  [/^DELETE_FAILED$/, { problem: 'its deletion has failed; delete it again, and retain what cannot be deleted' }],
  [
    /^UPDATE_ROLLBACK_FAILED$/,
    { problem: 'continue its rollback first: aws cloudformation continue-update-rollback --stack-name …' },
  ],
  [
    /^UPDATE_.*_?IN_PROGRESS$/,
    { does: 'waits for the update that is under way, then updates it', option: '--rollback' },
  ],
  [/^(CREATE|UPDATE|UPDATE_ROLLBACK|IMPORT|IMPORT_ROLLBACK)_COMPLETE$/, { does: 'updates it', option: '--rollback' }],
];

/** The account in words. */
function intoAccount(
  stack: StackName,
  { hub, identity }: Config,
  accounts: readonly string[],
  account: string,
): string {
  const role = {
    [HUB_STACK]: 'the hub',
    [IDENTITY_STACK]: 'that of Identity Center',
    [TARGETS_STACK]: 'for the accounts of the organisational units',
    [TARGET_STACK]: accounts.includes(account)
      ? 'a target of personas.json'
      : 'not in personas.json: no request for it is granted before it is',
  }[stack];
  return `account ${account} (${account === hub.account_id && account === identity.account_id ? 'the hub' : role})`;
}

function inAccount(
  stack: StackName,
  { hub, identity, organization }: Config,
  { account, caller }: Situation,
): string[] {
  const these = `these credentials are of ${account} (${caller})`;
  switch (stack) {
    case HUB_STACK:
      return account === hub.account_id
        ? []
        : [`${these}, and the hub is ${hub.account_id}: use credentials of that account, or correct hub.account_id`];
    case IDENTITY_STACK:
      if (identity.account_id === hub.account_id) {
        return ['Identity Center is managed from the hub: the hub stack reads it, and there is no such stack'];
      }
      return account === identity.account_id
        ? []
        : [`${these}, and Identity Center is managed from ${identity.account_id}: use credentials of that account`];
    case TARGET_STACK:
      return account === hub.account_id
        ? [`${these}, the hub: it must not be a target; use credentials of a target account`]
        : [];
    case TARGETS_STACK:
      return organization ? [] : ['the configuration has no `organization`: name its organisational units'];
  }
}

function taken(stack: StackName, { takenRole, region }: Situation): string[] {
  if (takenRole === undefined) return [];
  const elsewhere =
    stack === TARGET_STACK
      ? 'another region, or a stack set, has on-boarded the account'
      : 'there is a stack in another region';
  return [
    `the account has a role ${takenRole} already, which is not of ${stack} in ${region}: ${elsewhere}; ` +
      'deploy to the region of that stack, or delete the role if nobody needs it',
  ];
}

/** An account has one provider for GitHub, whoever has made it. */
function withProvider(stack: StackName, { github }: Config, situation: Situation): string[] {
  if (stack !== HUB_STACK || !github) return [];
  const [named, there] = [github.oidc_provider_arn, situation.github];
  if (!there) {
    return named === undefined
      ? []
      : [`the account has no provider ${named}: remove github.oidc_provider_arn, and the stack creates it`];
  }
  if (there.ofStack) {
    return named === undefined
      ? []
      : [`the stack itself has made ${there.arn}, and would delete it: remove github.oidc_provider_arn`];
  }
  if (named !== there.arn) {
    return [`the account has a provider for GitHub already: set github.oidc_provider_arn to ${there.arn}`];
  }
  return there.clientIds.includes('sts.amazonaws.com')
    ? []
    : [
        `${there.arn} does not take tokens for sts.amazonaws.com: ` +
          `aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn ${there.arn} --client-id sts.amazonaws.com`,
      ];
}
