/**
 * The fixed names of Daypass.
 *
 * They are fixed because two sides that never see each other's template must agree on them: the hub assumes
 * `daypass-provisioner` in accounts that another stack set up, and a target trusts hub roles that may not exist yet.
 * `core/src/names.rs` has those that functions and the command know, too; a test there compares both.
 */
import { Aws } from 'aws-cdk-lib';

/** The tasks, in the order in which provisioning first needs them; each is one Lambda function. */
export const TASKS = [
  'validate',
  'record',
  'prove',
  'authn',
  'authz',
  'create-role',
  'issue-creds',
  'delete-role',
] as const;
export type Task = (typeof TASKS)[number];

/** The name of a task's function, and of that function's execution role. */
export const taskName = (task: Task): string => `daypass-${task}`;

/** The key under which the ASL files refer to a task's function: `${create_role}`. */
export const substitutionKey = (task: Task): string => task.replaceAll('-', '_');

export const PROVISION_MACHINE = 'daypass-provision';
export const RENEW_MACHINE = 'daypass-renew';
export const DEPROVISION_MACHINE = 'daypass-deprovision';
export const SWEEP_MACHINE = 'daypass-sweep';
/** What starts the sweep, and the role with which it does. */
export const SWEEP_SCHEDULE = 'daypass-sweep-schedule';
export const SCHEDULE_GROUP = 'daypass';
export const TABLE = 'daypass-transactions';
/** The table's index of transactions that have not ended. */
export const OPEN_LEASES_INDEX = 'open-leases';
export const USED_TOKENS_TABLE = 'daypass-used-tokens';
export const OPEN_ROLES_TABLE = 'daypass-open-roles';
export const ALARM_TOPIC = 'daypass-alarms';
export const DASHBOARD = 'daypass';
/** What to do when an alarm goes off: each alarm has a section there that has its name. `deprovision.asl.json` has the address, too. */
export const RUNBOOK = 'https://github.com/daypass/daypass/blob/main/docs/runbook.md';
export const KEY_ALIAS = 'alias/daypass';
/** The key that identity tokens are encrypted to; whoever may ask for roles may read its public half. */
export const TOKEN_KEY_ALIAS = 'alias/daypass-identity-tokens';

/** Hub role from which a pipeline's session credentials are issued. */
export const PIPELINE_ROLE = 'daypass-pipeline';
/** Hub role with which a pipeline starts the machines. */
export const INVOKER_ROLE = 'daypass-invoker';
/** Target role that manages deploy roles. Its path is `/`: what is below `/daypass/` is what it may delete. */
export const PROVISIONER_ROLE = 'daypass-provisioner';
/** Permissions boundary of every deploy role. */
export const BOUNDARY_POLICY = 'daypass-boundary';
/** Permissions boundary of the roles that deployments create. */
export const WORKLOADS_POLICY = 'daypass-workloads';
/** Role in the identity account with which authn and authz read users and groups. */
export const IDENTITY_READER_ROLE = 'daypass-identity-reader';

/** Deploy roles, as the resource part of an ARN: `daypass-<transaction uuid>` below `/daypass/`. */
export const DEPLOY_ROLES = 'role/daypass/daypass-*';
/** What IAM judges a call about a deploy role by that is not there: its name, without the path. */
export const MISSING_DEPLOY_ROLES = 'role/daypass-*';

/** The one IAM path below which a deployment may own roles, policies and instance profiles. */
export const DEPLOYED_PATH = '/deployed-by-daypass/';
/**
 * The IAM path of the roles that the platform team keeps for deployments, in a folder for each persona. Deploy roles of
 * the persona may assume and pass them, and do nothing else with them.
 */
export const FIXED_PATH = '/fixed-for-daypass/';
/** Key of the session tag and of the role tag that carry the persona. */
export const PERSONA_TAG = 'daypass:persona';

/** Key of the session tag and of the role tag that carry the transaction id. */
export const TRANSACTION_TAG = 'daypass:transaction-id';

/** Tag of each machine: the version of what it takes and returns. `daypass doctor` holds it against what it knows. */
export const CONTRACT_TAG = 'daypass:contract';
/** Raise it, here and in core/src/names.rs, when a client of the version before can no longer ask. */
export const CONTRACT_VERSION = '1';

/** Tag of the machine that provisions: the environments that are open to whoever proves nothing. `daypass doctor` warns of them. */
export const OPEN_ENVIRONMENTS_TAG = 'daypass:open-environments';

/** Tag of the provisioner role: the version of Daypass that has deployed the target. `daypass doctor` compares it with its own. */
export const VERSION_TAG = 'daypass:version';

/** Resources with this tag set to `true` cannot be touched by a deployment. */
export const PROTECTED_TAG = 'daypass:protected';

export const HUB_STACK = 'DaypassHub';
export const TARGET_STACK = 'DaypassTarget';
export const TARGETS_STACK = 'DaypassTargets';
export const IDENTITY_STACK = 'DaypassIdentity';

/** ARN of an IAM resource such as `role/daypass-pipeline`; without an account, of the account deployed to. */
export const iamArn = (resource: string, account: string = Aws.ACCOUNT_ID): string =>
  `arn:${Aws.PARTITION}:iam::${account}:${resource}`;

/** ARN of a task's execution role. */
export const taskRoleArn = (task: Task, account?: string): string => iamArn(`role/${taskName(task)}`, account);
