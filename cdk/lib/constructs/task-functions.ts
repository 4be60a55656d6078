import { Duration, Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { AUTHN_READS, AUTHZ_READS, acknowledgeIdentityStore, type Read, readIdentityStore } from '../identity-store.ts';
import { useTableKey } from '../table-key.ts';
import { IDENTITY_READER_ROLE, iamArn, PIPELINE_ROLE, PROVISIONER_ROLE, TASKS, type Task } from '../names.ts';
import type { IdentityTokens } from './identity-tokens.ts';
import type { OpenRolesTable } from './open-roles-table.ts';
import { TaskFunction, type TaskFunctionProps } from './task-function.ts';
import type { TransactionsTable } from './transactions-table.ts';

export interface TaskFunctionsProps {
  readonly config: Config;
  readonly key: kms.IKey;
  readonly table: TransactionsTable;
  readonly openRoles: OpenRolesTable;
  readonly tokens: IdentityTokens;
}

type Specification = Omit<TaskFunctionProps, 'task' | 'config' | 'key'>;

/** The functions: what each may touch, what it is told, and how long it may take. */
export class TaskFunctions extends Construct {
  readonly all: Record<Task, TaskFunction>;

  constructor(scope: Construct, id: string, { config, key, table, openRoles, tokens }: TaskFunctionsProps) {
    super(scope, id);
    const { partition } = Stack.of(this);
    const pipelineRole = iamArn(`role/${PIPELINE_ROLE}`);
    const readsIdentities = identityAccess(config);
    const managesRoles = [assume('Provisioner', iamArn(`role/${PROVISIONER_ROLE}`, '*'))];
    const quick = { timeout: Duration.seconds(10), personas: false };
    const slow = { timeout: Duration.seconds(30), personas: false };

    const specifications: Record<Task, Specification> = {
      validate: {
        ...quick,
        personas: true,
        statements: [],
        environment: {
          DAYPASS_MIN_ROLE_TTL_SECONDS: `${config.minimum_role_ttl_seconds}`,
          DAYPASS_PARTITION: partition,
        },
      },
      record: {
        ...quick,
        statements: recordAccess(table, openRoles, key),
        environment: {
          DAYPASS_TABLE: table.tableName,
          DAYPASS_OPEN_ROLES_TABLE: openRoles.tableName,
          DAYPASS_LIMITS: JSON.stringify(config.limits),
          DAYPASS_ROLE_SETTLE_SECONDS: `${config.role_settle_seconds}`,
        },
      },
      prove: {
        ...quick,
        statements: [
          new iam.PolicyStatement({
            sid: 'OpenIdentityTokens',
            actions: ['kms:Decrypt'],
            resources: [tokens.key.keyArn],
          }),
        ],
        environment: {
          DAYPASS_IDENTITY_TOKENS: JSON.stringify(config.identity_tokens),
          DAYPASS_TOKEN_KEY_ARN: tokens.key.keyArn,
        },
      },
      authn: { ...quick, ...readsIdentities(AUTHN_READS) },
      authz: { ...quick, ...readsIdentities(AUTHZ_READS), personas: true },
      'create-role': {
        ...slow,
        personas: true,
        statements: managesRoles,
        environment: { DAYPASS_EXTERNAL_ID: config.external_id, DAYPASS_PIPELINE_ROLE_ARN: pipelineRole },
      },
      'issue-creds': {
        ...quick,
        statements: [assume('PipelineRole', pipelineRole, 'sts:TagSession', 'sts:SetSourceIdentity')],
        environment: { DAYPASS_PIPELINE_ROLE_ARN: pipelineRole },
      },
      'delete-role': {
        ...slow,
        statements: managesRoles,
        environment: { DAYPASS_EXTERNAL_ID: config.external_id },
      },
    };
    this.all = Object.fromEntries(
      TASKS.map((task) => [task, new TaskFunction(this, task, { task, config, key, ...specifications[task] })]),
    ) as Record<Task, TaskFunction>;

    acknowledgeIdentityStore(this, config);
    Validations.of(this).acknowledge({
      id: `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:iam::*:role/${PROVISIONER_ROLE}]`,
      reason: 'Any account may become a target; it joins by setting up this one role, which wants the external id.',
    });
  }
}

const assume = (sid: string, role: string, ...more: string[]) =>
  new iam.PolicyStatement({ sid, actions: ['sts:AssumeRole', ...more], resources: [role] });

/** Reads of the identity store: direct, or through the reader role when it lives in another account. */
function identityAccess(config: Config): (reads: Read[]) => Pick<Specification, 'statements' | 'environment'> {
  const { store_id, account_id, region } = config.identity;
  const environment: Record<string, string> = { DAYPASS_IDENTITY_STORE_ID: store_id };
  if (region !== config.hub.region) environment.DAYPASS_IDENTITY_REGION = region;
  if (account_id === config.hub.account_id) {
    return (reads) => ({ statements: readIdentityStore(config, reads), environment });
  }
  const reader = iamArn(`role/${IDENTITY_READER_ROLE}`, account_id);
  environment.DAYPASS_IDENTITY_READER_ROLE_ARN = reader;
  return () => ({ statements: [assume('IdentityReader', reader)], environment });
}

/** TransactWriteItems is authorised as the actions it is made of. */
function recordAccess(table: TransactionsTable, openRoles: OpenRolesTable, key: kms.IKey): iam.PolicyStatement[] {
  return [
    new iam.PolicyStatement({
      sid: 'Transactions',
      actions: ['dynamodb:BatchGetItem', 'dynamodb:GetItem', 'dynamodb:UpdateItem'],
      resources: [table.tableArn],
    }),
    new iam.PolicyStatement({
      sid: 'OpenRoles',
      actions: ['dynamodb:GetItem', 'dynamodb:UpdateItem'],
      resources: [openRoles.tableArn],
    }),
    useTableKey(key),
  ];
}
