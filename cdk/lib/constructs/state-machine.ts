import { readFileSync } from 'node:fs';
import { Annotations, RemovalPolicy, Stack, Tags, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as sns from 'aws-cdk-lib/aws-sns';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type { Config } from '../config.ts';
import { CONTRACT_TAG, CONTRACT_VERSION, substitutionKey, type Task } from '../names.ts';
import { useTableKey } from '../table-key.ts';
import type { TaskFunction } from './task-function.ts';

/** A search in an index of a table. */
export interface Search {
  readonly table: dynamodb.ITable;
  readonly index: string;
  /** All that it names: keys, what it filters by, what it wants to know. */
  readonly attributes: string[];
}

export interface StateMachineProps {
  readonly name: string;
  readonly type: sfn.StateMachineType;
  /** Path of the ASL file. */
  readonly definition: string;
  /** The tasks that the definition invokes. */
  readonly tasks?: Partial<Record<Task, TaskFunction>>;
  /** A machine that the definition starts, by its substitution key. */
  readonly starts?: Record<string, sfn.IStateMachine>;
  /** A table that the definition puts items into, by its substitution key. */
  readonly putsInto?: Record<string, dynamodb.ITable>;
  /** A topic that the definition sends messages to, by its substitution key. */
  readonly tells?: Record<string, sns.ITopic>;
  /** A table that the definition searches, by its substitution key. */
  readonly searches?: Record<string, Search>;
  readonly config: Config;
  /** Encrypts the machine's log group, the tables and the topics. */
  readonly key: kms.IKey;
}

/** A state machine from its ASL file, with a role that may do what the file refers to and nothing else. */
export class StateMachine extends Construct {
  readonly machine: sfn.StateMachine;
  readonly logGroup: logs.LogGroup;

  constructor(scope: Construct, id: string, props: StateMachineProps) {
    super(scope, id);
    const { account, region, partition } = Stack.of(this);
    const tasks = Object.entries(props.tasks ?? {}) as [Task, TaskFunction][];
    const starts = Object.entries(props.starts ?? {});
    const tables = Object.entries(props.putsInto ?? {});
    const topics = Object.entries(props.tells ?? {});
    const searches = Object.entries(props.searches ?? {});

    this.logGroup = new logs.LogGroup(this, 'Logs', {
      // The prefix keeps the account's log resource policy from growing with every log group (its limit is 5,120).
      logGroupName: `/aws/vendedlogs/states/${props.name}`,
      retention: props.config.log_retention_days,
      encryptionKey: props.key,
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    const statements = [
      new iam.PolicyStatement({
        sid: 'DeliverLogs',
        actions: [
          'logs:CreateLogDelivery',
          'logs:GetLogDelivery',
          'logs:UpdateLogDelivery',
          'logs:DeleteLogDelivery',
          'logs:ListLogDeliveries',
          'logs:PutResourcePolicy',
          'logs:DescribeResourcePolicies',
          'logs:DescribeLogGroups',
        ],
        resources: ['*'],
      }),
      new iam.PolicyStatement({
        sid: 'Traces',
        actions: [
          'xray:PutTraceSegments',
          'xray:PutTelemetryRecords',
          'xray:GetSamplingRules',
          'xray:GetSamplingTargets',
        ],
        resources: ['*'],
      }),
    ];
    if (tasks.length > 0) {
      statements.unshift(
        new iam.PolicyStatement({
          sid: 'Tasks',
          actions: ['lambda:InvokeFunction'],
          resources: tasks.map(([, task]) => task.function.functionArn),
        }),
      );
    }
    if (starts.length > 0) {
      statements.push(
        new iam.PolicyStatement({
          sid: 'Machines',
          actions: ['states:StartExecution'],
          resources: starts.map(([, machine]) => machine.stateMachineArn),
        }),
      );
    }
    if (tables.length > 0) {
      statements.push(
        new iam.PolicyStatement({
          sid: 'Tables',
          actions: ['dynamodb:PutItem'],
          resources: tables.map(([, table]) => table.tableArn),
        }),
      );
    }
    if (topics.length > 0) {
      statements.push(
        new iam.PolicyStatement({
          sid: 'Topics',
          actions: ['sns:Publish'],
          resources: topics.map(([, topic]) => topic.topicArn),
        }),
        // Whoever sends to an encrypted topic needs the topic's key, which SNS uses on the sender's behalf.
        new iam.PolicyStatement({
          sid: 'KeyOfTheTopics',
          actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
          resources: [props.key.keyArn],
          conditions: { StringEquals: { 'kms:ViaService': `sns.${region}.amazonaws.com` } },
        }),
      );
    }
    for (const [, { table, index, attributes }] of searches) {
      statements.push(
        new iam.PolicyStatement({
          sid: 'Searches',
          actions: ['dynamodb:Query'],
          resources: [`${table.tableArn}/index/${index}`],
          // The rest of an item is not its business.
          conditions: {
            'ForAllValues:StringEquals': { 'dynamodb:Attributes': attributes },
            StringEquals: { 'dynamodb:Select': 'SPECIFIC_ATTRIBUTES' },
          },
        }),
      );
    }
    if (tables.length + searches.length > 0) statements.push(useTableKey(props.key));
    const role = new iam.Role(this, 'Role', {
      roleName: props.name,
      description: `Execution role of the state machine ${props.name}`,
      assumedBy: new iam.ServicePrincipal('states.amazonaws.com', {
        conditions: {
          StringEquals: { 'aws:SourceAccount': account },
          ArnLike: { 'aws:SourceArn': `arn:${partition}:states:${region}:${account}:stateMachine:${props.name}` },
        },
      }),
      inlinePolicies: { machine: new iam.PolicyDocument({ statements }) },
    });
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason: 'Neither the log delivery actions nor X-Ray have resources that a policy could name.',
    });

    const definition = readFileSync(props.definition, 'utf8');
    const substitutions: Record<string, string> = Object.fromEntries([
      ...tasks.map(([task, { function: f }]) => [substitutionKey(task), f.functionArn]),
      ...starts.map(([key, machine]) => [key, machine.stateMachineArn]),
      ...tables.map(([key, table]) => [key, table.tableName]),
      ...topics.map(([key, topic]) => [key, topic.topicArn]),
      ...searches.map(([key, { table }]) => [key, table.tableName]),
    ]);
    this.refuseOtherReferences(props.definition, definition, Object.keys(substitutions));

    this.machine = new sfn.StateMachine(this, 'Machine', {
      stateMachineName: props.name,
      stateMachineType: props.type,
      definitionBody: sfn.DefinitionBody.fromString(definition),
      definitionSubstitutions: substitutions,
      // The role's one policy is written out above: the construct library must not add to it.
      role: role.withoutPolicyUpdates(),
      tracingEnabled: true,
      // Execution data is logged because it holds no secret: credentials leave issue-creds only sealed.
      logs: { destination: this.logGroup, level: sfn.LogLevel.ALL, includeExecutionData: true },
    });
    Tags.of(this.machine).add(CONTRACT_TAG, CONTRACT_VERSION);
  }

  /** What the definition refers to is what its role may use: a reference too many or too few stops the deployment. */
  private refuseOtherReferences(file: string, definition: string, given: string[]): void {
    const used = new Set([...definition.matchAll(/\$\{(\w+)\}/g)].map(([, key = '']) => key));
    const missing = [...used].filter((key) => !given.includes(key));
    const unused = given.filter((key) => !used.has(key));
    if (missing.length > 0)
      Annotations.of(this).addError(`${file} refers to ${missing.join(', ')}, which it is not given`);
    if (unused.length > 0)
      Annotations.of(this).addError(`${file} is given ${unused.join(', ')}, which it does not use`);
  }
}
