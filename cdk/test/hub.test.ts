import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { CONTRACT_TAG, CONTRACT_VERSION, OPEN_ENVIRONMENTS_TAG, RUNBOOK, TASKS } from '../lib/names.ts';
import { exampleApp, exampleConfig, fixtures } from './app.ts';
import { VERSION } from '../lib/version.ts';
import { elf } from './elf.ts';
import { type LogEvent, logFilter } from './log-filter.ts';
import { evaluate } from './policy.ts';
import { type Statement, Synthesized } from './template.ts';

const HUB = '111111111111';
/** Log events of executions of each kind, as `local/tests/test_machines.py` has recorded them. */
const executions: Record<string, LogEvent[]> = JSON.parse(readFileSync(`${fixtures}/executions.json`, 'utf8'));
const hub = new Synthesized('DaypassHub', HUB);
const identityInHub = { store_id: 'd-1234567890', account_id: HUB, region: 'us-east-1' };

interface FunctionProperties {
  readonly FunctionName: string;
  readonly Role: string;
  readonly Timeout: number;
  readonly Architectures: string[];
  readonly Environment: { readonly Variables: Record<string, string> };
  readonly LoggingConfig: { readonly LogGroup: string };
  readonly TracingConfig: { readonly Mode: string };
  readonly Runtime: string;
}

const functions = (stack = hub) =>
  Object.fromEntries(
    stack.all<FunctionProperties>('AWS::Lambda::Function').map((properties) => [properties.FunctionName, properties]),
  );

/** What a function may do beyond its own logs and traces. */
const ownStatements = (task: string, stack = hub): Statement[] =>
  stack.statements(`daypass-${task}`).filter(({ Sid }) => Sid !== 'OwnLogs' && Sid !== 'Traces');

describe('table', () => {
  test('keeps what it holds, on demand, encrypted with the key of Daypass', () => {
    hub.template.hasResource('AWS::DynamoDB::Table', {
      DeletionPolicy: 'RetainExceptOnCreate',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        TableName: 'daypass-transactions',
        KeySchema: [{ AttributeName: 'transaction_id', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
        DeletionProtectionEnabled: true,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        SSESpecification: { SSEEnabled: true, SSEType: 'KMS', KMSMasterKeyId: Match.anyValue() },
        TimeToLiveSpecification: Match.absent(),
      },
    });
  });

  test.each([
    ['by-user', 'email', 'requested_at'],
    ['by-account', 'target_aws_account_id', 'requested_at'],
    ['by-actor', 'actor', 'requested_at'],
    ['open-leases', 'open_lease', 'expires_at'],
  ])('has the index %s', (IndexName, hash, range) => {
    hub.template.hasResourceProperties('AWS::DynamoDB::Table', {
      GlobalSecondaryIndexes: Match.arrayWith([
        {
          IndexName,
          KeySchema: [
            { AttributeName: hash, KeyType: 'HASH' },
            { AttributeName: range, KeyType: 'RANGE' },
          ],
          Projection: { ProjectionType: 'ALL' },
        },
      ]),
    });
  });
});

test('open roles are counted in a table that outlives the stack, and forgets jobs', () => {
  hub.template.hasResource('AWS::DynamoDB::Table', {
    DeletionPolicy: 'RetainExceptOnCreate',
    Properties: {
      TableName: 'daypass-open-roles',
      KeySchema: [{ AttributeName: 'holder', KeyType: 'HASH' }],
      TimeToLiveSpecification: { AttributeName: 'forget_at', Enabled: true },
      BillingMode: 'PAY_PER_REQUEST',
      DeletionProtectionEnabled: true,
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      SSESpecification: { SSEEnabled: true, SSEType: 'KMS', KMSMasterKeyId: Match.anyValue() },
    },
  });
});

describe('functions', () => {
  test('are the tasks', () => {
    expect(Object.keys(functions()).sort()).toEqual(TASKS.map((task) => `daypass-${task}`).sort());
  });

  test.each(TASKS)('%s has a role of its own, its own logs, and traces', (task) => {
    const name = `daypass-${task}`;
    expect(functions()[name]).toMatchObject({
      Role: `<${name}.Arn>`,
      Runtime: 'provided.al2023',
      Handler: 'bootstrap',
      Architectures: ['x86_64'],
      MemorySize: 256,
      TracingConfig: { Mode: 'Active' },
      LoggingConfig: { LogGroup: `</aws/lambda/${name}>`, LogFormat: 'JSON' },
    });
    expect(hub.trust(name)).toEqual([
      { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'lambda.amazonaws.com' } },
    ]);
    expect(hub.statements(name).slice(0, 2)).toEqual([
      {
        Sid: 'OwnLogs',
        Effect: 'Allow',
        Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        Resource: `</aws/lambda/${name}.Arn>`,
      },
      {
        Sid: 'Traces',
        Effect: 'Allow',
        Action: ['xray:PutTelemetryRecords', 'xray:PutTraceSegments'],
        Resource: '*',
      },
    ]);
  });

  test.each([
    ['validate', 10],
    ['record', 10],
    ['prove', 10],
    ['authn', 10],
    ['authz', 10],
    ['issue-creds', 10],
    ['create-role', 30],
    ['delete-role', 30],
  ])('%s may take %i seconds', (task, seconds) => {
    expect(functions()[`daypass-${task}`]?.Timeout).toBe(seconds);
  });

  const pipelineRole = `arn:aws:iam::${HUB}:role/daypass-pipeline`;
  const reader = 'arn:aws:iam::444444444444:role/daypass-identity-reader';
  const provisioner = 'arn:aws:iam::*:role/daypass-provisioner';
  const identity = {
    DAYPASS_IDENTITY_STORE_ID: 'd-1234567890',
    DAYPASS_IDENTITY_READER_ROLE_ARN: reader,
    DAYPASS_IDENTITY_REGION: 'eu-west-1',
  };

  test.each<[string, Record<string, string>]>([
    ['validate', { DAYPASS_MIN_ROLE_TTL_SECONDS: '900', DAYPASS_PARTITION: 'aws' }],
    [
      'record',
      {
        DAYPASS_TABLE: '<daypass-transactions>',
        DAYPASS_OPEN_ROLES_TABLE: '<daypass-open-roles>',
        DAYPASS_LIMITS: '{"open_roles_per_person":20,"open_roles_per_account":200,"accounts_per_job":1}',
        DAYPASS_ROLE_SETTLE_SECONDS: '10',
      },
    ],
    [
      'prove',
      {
        DAYPASS_IDENTITY_TOKENS: JSON.stringify(exampleConfig().identity_tokens),
        DAYPASS_TOKEN_KEY_ARN: '<AWS::KMS::Key.Arn>',
      },
    ],
    ['authn', identity],
    ['authz', identity],
    ['create-role', { DAYPASS_EXTERNAL_ID: `daypass-${HUB}`, DAYPASS_PIPELINE_ROLE_ARN: pipelineRole }],
    ['issue-creds', { DAYPASS_PIPELINE_ROLE_ARN: pipelineRole }],
    ['delete-role', { DAYPASS_EXTERNAL_ID: `daypass-${HUB}` }],
  ])('%s is told exactly what it needs', (task, variables) => {
    expect(functions()[`daypass-${task}`]?.Environment.Variables).toEqual(variables);
  });

  const assume = (resource: string, more: string[] = []) => [
    { Action: more.length > 0 ? ['sts:AssumeRole', ...more] : 'sts:AssumeRole', Resource: resource },
  ];
  test.each<[string, Partial<Statement>[]]>([
    ['validate', []],
    ['prove', [{ Action: 'kms:Decrypt', Resource: '<AWS::KMS::Key.Arn>' }]],
    ['authn', assume(reader)],
    ['authz', assume(reader)],
    ['create-role', assume(provisioner)],
    ['delete-role', assume(provisioner)],
    ['issue-creds', assume(pipelineRole, ['sts:SetSourceIdentity', 'sts:TagSession'])],
    [
      'record',
      [
        {
          Action: ['dynamodb:BatchGetItem', 'dynamodb:GetItem', 'dynamodb:UpdateItem'],
          Resource: '<daypass-transactions.Arn>',
        },
        { Action: ['dynamodb:GetItem', 'dynamodb:UpdateItem'], Resource: '<daypass-open-roles.Arn>' },
        {
          Action: [
            'kms:Decrypt',
            'kms:DescribeKey',
            'kms:Encrypt',
            'kms:GenerateDataKey',
            'kms:ReEncryptFrom',
            'kms:ReEncryptTo',
          ],
          Resource: '<AWS::KMS::Key.Arn>',
          Condition: { StringEquals: { 'kms:ViaService': 'dynamodb.us-east-1.amazonaws.com' } },
        },
      ],
    ],
  ])('%s may do exactly what its task needs', (task, expected) => {
    const found = ownStatements(task).map(({ Sid: _, Effect, ...statement }) => {
      expect(Effect).toBe('Allow');
      return statement;
    });
    expect(found).toEqual(expected);
  });

  test('authn and authz read the identity store directly when it is the hub’s', () => {
    const stack = new Synthesized('DaypassHub', HUB, { identity: identityInHub });
    // Each action with the resource types that it requires, and no others.
    const may = (Sid: string, ...inside: string[]) => ({
      Sid,
      Effect: 'Allow',
      Action: `identitystore:${Sid}`,
      Resource: [
        'arn:aws:identitystore::*:identitystore/d-1234567890',
        ...inside.map((type) => `arn:aws:identitystore:::${type}/*`),
      ],
    });
    expect(ownStatements('authn', stack)).toEqual([may('GetUserId', 'user'), may('DescribeUser', 'user')]);
    expect(ownStatements('authz', stack)).toEqual([
      may('GetGroupId', 'group'),
      may('IsMemberInGroups', 'group', 'membership', 'user'),
    ]);
    expect(functions(stack)['daypass-authn']?.Environment.Variables).toEqual({
      DAYPASS_IDENTITY_STORE_ID: 'd-1234567890',
    });
  });

  test('authn and authz decrypt with the key of Identity Center, if it has one, for the identity store alone', () => {
    const key = 'arn:aws:kms:us-east-1:444444444444:key/mrk-1234abcd12ab34cd56ef1234567890ab';
    const stack = new Synthesized('DaypassHub', HUB, { identity: { ...identityInHub, kms_key_arn: key } });
    const context = (id: string) => ({
      'kms:EncryptionContext:aws:identitystore:identitystore-arn': `arn:aws:identitystore::444444444444:identitystore/${id}`,
    });
    const via = (service: string) => ({ 'kms:ViaService': `${service}.us-east-1.amazonaws.com` });
    for (const task of ['authn', 'authz'] as const) {
      const may = (keys: Record<string, string>, resource = key) =>
        evaluate(ownStatements(task, stack), { action: 'kms:Decrypt', resource, context: keys });
      const ours = { ...via('identitystore'), ...context('d-1234567890') };
      expect(may(ours)).toBe('allowed');
      expect(may(ours, `${key}0`)).not.toBe('allowed');
      expect(may({ ...ours, ...context('d-0000000000') })).not.toBe('allowed');
      expect(may({ ...ours, ...via('sso') })).not.toBe('allowed');
      expect(may(via('identitystore'))).not.toBe('allowed');
      expect(may(context('d-1234567890'))).not.toBe('allowed');
    }
    const others = TASKS.filter((task) => !['authn', 'authz', 'prove', 'record'].includes(task));
    for (const task of others) expect(JSON.stringify(ownStatements(task, stack))).not.toContain('kms:');
  });

  test('follow the configured architecture, lifetime and external id', () => {
    const assets_dir = mkdtempSync(join(tmpdir(), 'arm-'));
    for (const task of TASKS) {
      mkdirSync(join(assets_dir, task));
      writeFileSync(join(assets_dir, task, 'bootstrap'), elf({ machine: 183 }));
    }
    const changes = { architecture: 'arm64', assets_dir, minimum_role_ttl_seconds: 7, external_id: 'other' } as const;
    const built = functions(new Synthesized('DaypassHub', HUB, changes));
    expect(Object.values(built).map(({ Architectures }) => Architectures[0])).toEqual(TASKS.map(() => 'arm64'));
    expect(built['daypass-validate']?.Environment.Variables.DAYPASS_MIN_ROLE_TTL_SECONDS).toBe('7');
    expect(built['daypass-delete-role']?.Environment.Variables.DAYPASS_EXTERNAL_ID).toBe('other');
  });
});

describe('function packages', () => {
  const assembly = exampleApp().synth();
  const assets = assembly.getStackByName('DaypassHub').template.Resources as Record<
    string,
    { Type: string; Properties: { FunctionName: string; Code: { S3Key: string } } }
  >;
  const directory = (task: string) => {
    const found = Object.values(assets).find(
      ({ Type, Properties }) => Type === 'AWS::Lambda::Function' && Properties.FunctionName === `daypass-${task}`,
    );
    return join(assembly.directory, `asset.${found?.Properties.Code.S3Key.replace('.zip', '')}`);
  };

  test.each(TASKS)('%s is its own binary, and executable', (task) => {
    const bootstrap = join(directory(task), 'bootstrap');
    expect(readFileSync(bootstrap, 'utf8')).toContain(`function ${task}.`);
    expect(statSync(bootstrap).mode & 0o111).toBe(0o111);
  });

  test('the personas lie with the functions that read them, and only there', () => {
    const with_ = TASKS.filter((task) => existsSync(join(directory(task), 'personas.json')));
    expect(with_).toEqual(['validate', 'authz', 'create-role']);
    expect(readFileSync(join(directory('validate'), 'personas.json'), 'utf8')).toBe(
      readFileSync(exampleConfig().personas_file, 'utf8'),
    );
  });

  const absent = { assets_dir: `${fixtures}/absent` };

  test('all that was not built is said at once, with the remedy', () => {
    const unbuilt = TASKS.map((task) => `absent/${task}/bootstrap does not exist: build it with .make functions.`);
    expect(() => exampleApp(absent).synth()).toThrow(new RegExp(unbuilt.join('[^]+')));
  });

  test('functions that Lambda cannot run are refused, each with what is wrong', () => {
    const arm = { architecture: 'arm64' } as const;
    const each = TASKS.map((task) => `${task}/bootstrap is for x86_64, and .architecture. is arm64: [^]+ARCH=arm64`);
    expect(() => exampleApp(arm).synth()).toThrow(new RegExp(each.join('[^]+')));
    expect(() => exampleApp(arm, { 'aws:cdk:bundling-stacks': ['DaypassTarget'] }).synth()).not.toThrow();
  });

  test('functions of another version are refused: machines and functions are deployed together', () => {
    const built = (version: string) => {
      const assets_dir = mkdtempSync(join(tmpdir(), 'version-'));
      for (const task of TASKS) {
        mkdirSync(join(assets_dir, task));
        const text = `the function of Daypass ${version} cannot start: `;
        writeFileSync(join(assets_dir, task, 'bootstrap'), elf({ text }));
      }
      return { assets_dir };
    };
    expect(() => exampleApp(built(VERSION)).synth()).not.toThrow();
    expect(() => exampleApp(built('0.0.9')).synth()).toThrow(
      `authn/bootstrap is of Daypass 0.0.9, and this is ${VERSION}: build it with \`make functions\``,
    );
  });

  test('a target is deployed without a build, and the hub cannot be deployed from that', () => {
    const forTarget = { 'aws:cdk:bundling-stacks': ['DaypassTarget'] };
    const names = (assembly: { stacks: { stackName: string }[] }) => assembly.stacks.map(({ stackName }) => stackName);
    expect(names(exampleApp(absent, forTarget).synth())).not.toContain('DaypassHub');
    expect(names(exampleApp({}, forTarget).synth())).toContain('DaypassHub');
  });

  test('what is no file, or is larger than Lambda takes, is refused', () => {
    const assets_dir = mkdtempSync(join(tmpdir(), 'odd-'));
    for (const task of TASKS) {
      mkdirSync(join(assets_dir, task));
      writeFileSync(join(assets_dir, task, 'bootstrap'), elf());
    }
    truncateSync(join(assets_dir, 'authz', 'bootstrap'), 250 * 1024 * 1024 + 1);
    rmSync(join(assets_dir, 'prove', 'bootstrap'));
    mkdirSync(join(assets_dir, 'prove', 'bootstrap'));
    const each = [
      'prove/bootstrap is not a file:',
      'authz/bootstrap has 262,144,001 bytes, and AWS Lambda takes 262,144,000:',
    ];
    expect(() => exampleApp({ assets_dir }).synth()).toThrow(new RegExp(each.join('[^]+')));
  });
});

describe('machines', () => {
  test.each([
    ['provision', 'EXPRESS'],
    ['renew', 'EXPRESS'],
    ['deprovision', 'STANDARD'],
    ['sweep', 'STANDARD'],
  ])('%s is %s, traced, and logs everything', (name, type) => {
    const [machine] = hub
      .all('AWS::StepFunctions::StateMachine')
      .filter(({ StateMachineName }) => StateMachineName === `daypass-${name}`);
    expect(machine).toMatchObject({
      StateMachineType: type,
      RoleArn: `<daypass-${name}.Arn>`,
      TracingConfiguration: { Enabled: true },
      LoggingConfiguration: {
        Level: 'ALL',
        IncludeExecutionData: true,
        Destinations: [{ CloudWatchLogsLogGroup: { LogGroupArn: `</aws/vendedlogs/states/daypass-${name}.Arn>` } }],
      },
      DefinitionString: readFileSync(`${fixtures}/statemachine/${name}.asl.json`, 'utf8'),
    });
    expect(hub.trust(`daypass-${name}`)).toEqual([
      {
        Effect: 'Allow',
        Action: 'sts:AssumeRole',
        Principal: { Service: 'states.amazonaws.com' },
        Condition: {
          StringEquals: { 'aws:SourceAccount': HUB },
          ArnLike: { 'aws:SourceArn': `arn:aws:states:us-east-1:${HUB}:stateMachine:daypass-${name}` },
        },
      },
    ]);
  });

  const invocations = (machine: string) =>
    hub.statements(machine).filter(({ Sid }) => Sid !== 'DeliverLogs' && Sid !== 'Traces');

  test('provision may invoke its tasks, start the lease and use up tokens', () => {
    expect(invocations('daypass-provision')).toEqual([
      {
        Sid: 'Tasks',
        Effect: 'Allow',
        Action: 'lambda:InvokeFunction',
        Resource: expect.arrayContaining(TASKS.map((task) => `<daypass-${task}.Arn>`)),
      },
      { Sid: 'Machines', Effect: 'Allow', Action: 'states:StartExecution', Resource: '<daypass-deprovision>' },
      { Sid: 'Tables', Effect: 'Allow', Action: 'dynamodb:PutItem', Resource: '<daypass-used-tokens.Arn>' },
      expect.objectContaining({
        Sid: 'KeyOfTheTable',
        Condition: { StringEquals: { 'kms:ViaService': 'dynamodb.us-east-1.amazonaws.com' } },
      }),
    ]);
  });

  test('renew may invoke the tasks that touch no target account, and use up tokens', () => {
    const tasks = ['validate', 'record', 'prove', 'authn', 'authz', 'issue-creds'];
    const invoked = invocations('daypass-renew');
    expect(invoked.map(({ Sid, Action }) => [Sid, Action])).toEqual([
      ['Tasks', 'lambda:InvokeFunction'],
      ['Tables', 'dynamodb:PutItem'],
      ['KeyOfTheTable', expect.anything()],
    ]);
    expect([...(invoked[0]?.Resource ?? [])].sort()).toEqual(tasks.map((task) => `<daypass-${task}.Arn>`).sort());
    expect(invoked[1]?.Resource).toBe('<daypass-used-tokens.Arn>');
  });

  test('deprovision may invoke record and delete-role, and tell the operators', () => {
    expect(invocations('daypass-deprovision')).toEqual([
      {
        Sid: 'Tasks',
        Effect: 'Allow',
        Action: 'lambda:InvokeFunction',
        Resource: ['<daypass-delete-role.Arn>', '<daypass-record.Arn>'],
      },
      { Sid: 'Topics', Effect: 'Allow', Action: 'sns:Publish', Resource: '<daypass-alarms>' },
      {
        Sid: 'KeyOfTheTopics',
        Effect: 'Allow',
        Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
        Resource: '<AWS::KMS::Key.Arn>',
        Condition: { StringEquals: { 'kms:ViaService': 'sns.us-east-1.amazonaws.com' } },
      },
    ]);
  });

  test('sweep may search the open leases, for what it names, and start deprovision', () => {
    expect(invocations('daypass-sweep')).toEqual([
      { Sid: 'Machines', Effect: 'Allow', Action: 'states:StartExecution', Resource: '<daypass-deprovision>' },
      {
        Sid: 'Searches',
        Effect: 'Allow',
        Action: 'dynamodb:Query',
        Resource: '<daypass-transactions.Arn>/index/open-leases',
        Condition: {
          'ForAllValues:StringEquals': {
            'dynamodb:Attributes': [
              'transaction_id',
              'open_lease',
              'expires_at',
              'status',
              'requested_at',
              'ending_since',
              'role_may_exist',
              'deprovisioning_transaction_id',
            ],
          },
          StringEquals: { 'dynamodb:Select': 'SPECIFIC_ATTRIBUTES' },
        },
      },
      expect.objectContaining({ Sid: 'KeyOfTheTable' }),
    ]);
  });

  test('the role of the sweep may read every attribute that its searches name', () => {
    const definition = readFileSync(join(import.meta.dirname, '../../statemachine/sweep.asl.json'), 'utf8');
    const states: Record<string, { Resource?: string; Arguments: Record<string, unknown> }> =
      JSON.parse(definition).States;
    const searches = Object.values(states).filter(({ Resource }) => Resource?.endsWith(':dynamodb:query'));
    const named = searches.flatMap(({ Arguments }) => {
      const names = Object.values((Arguments.ExpressionAttributeNames ?? {}) as Record<string, string>);
      const expressions = [
        Arguments.KeyConditionExpression,
        Arguments.FilterExpression,
        Arguments.ProjectionExpression,
      ];
      const words = `${expressions.join(' ')}`.match(/(?<![:#\w])[a-z_]+/g) ?? [];
      return [...names, ...words.filter((word) => word !== 'attribute_not_exists')];
    });
    const [search] = hub.statements('daypass-sweep').filter(({ Sid }) => Sid === 'Searches');
    const allowed = search?.Condition?.['ForAllValues:StringEquals']?.['dynamodb:Attributes'] ?? [];
    expect([...new Set(named)].sort()).toEqual([...allowed].sort());
  });

  test('a definition that refers to other tasks than its role may invoke is refused', () => {
    const definitions = `${fixtures}/mismatched`;
    expect(() => exampleApp({}, {}, definitions).synth()).toThrow(
      /deprovision\.asl\.json refers to authn, which it is not given[^]+is given delete_role, which it does not use/,
    );
  });
});

test('every log group is kept for the configured time, encrypted, and outlives the stack', () => {
  const groups = hub.template.findResources('AWS::Logs::LogGroup');
  expect(Object.keys(groups)).toHaveLength(TASKS.length + 4);
  for (const group of Object.values(groups)) {
    expect(group).toMatchObject({
      DeletionPolicy: 'RetainExceptOnCreate',
      Properties: { RetentionInDays: 365, KmsKeyId: expect.anything() },
    });
  }
});

describe('key', () => {
  test('is rotated, outlives the stack, and serves logs and alarms of Daypass only', () => {
    const [key] = hub.all<{ KeyPolicy: { Statement: Statement[] }; EnableKeyRotation: boolean }>('AWS::KMS::Key');
    hub.template.hasResource('AWS::KMS::Key', { DeletionPolicy: 'RetainExceptOnCreate' });
    expect(key?.EnableKeyRotation).toBe(true);
    const services = key?.KeyPolicy.Statement.filter(({ Principal }) => Object.hasOwn(Principal as object, 'Service'));
    expect(services?.map(({ Principal, Condition }) => [Principal, Condition])).toEqual([
      [
        { Service: 'logs.us-east-1.amazonaws.com' },
        {
          ArnLike: {
            'kms:EncryptionContext:aws:logs:arn': [
              `arn:aws:logs:us-east-1:${HUB}:log-group:/aws/lambda/daypass-*`,
              `arn:aws:logs:us-east-1:${HUB}:log-group:/aws/vendedlogs/states/daypass-*`,
            ],
          },
        },
      ],
      [{ Service: 'cloudwatch.amazonaws.com' }, { StringEquals: { 'aws:SourceAccount': HUB } }],
    ]);
  });
});

describe('pipeline role', () => {
  const issuer = { AWS: '<daypass-issue-creds.Arn>' };
  const tagged = { 'aws:RequestTag/daypass:transaction-id': '????????-????-????-????-????????????' };

  test('is assumed by issue-creds only, for one transaction and in the name of someone', () => {
    expect(hub.trust('daypass-pipeline')).toEqual([
      {
        Effect: 'Allow',
        Action: 'sts:AssumeRole',
        Principal: issuer,
        Condition: { StringLike: { ...tagged, 'sts:SourceIdentity': '??*' } },
      },
      {
        Effect: 'Allow',
        Action: 'sts:TagSession',
        Principal: issuer,
        Condition: {
          StringLike: tagged,
          'ForAnyValue:StringEquals': { 'sts:TransitiveTagKeys': 'daypass:transaction-id' },
        },
      },
      {
        Effect: 'Allow',
        Action: 'sts:SetSourceIdentity',
        Principal: issuer,
        Condition: { StringLike: { 'sts:SourceIdentity': '??*' } },
      },
    ]);
    expect(hub.role('daypass-pipeline').MaxSessionDuration).toBe(3600);
  });

  test('can do nothing but assume deploy roles', () => {
    expect(hub.statements('daypass-pipeline')).toEqual([
      {
        Sid: 'DeployRoles',
        Effect: 'Allow',
        Action: ['sts:AssumeRole', 'sts:SetSourceIdentity', 'sts:TagSession'],
        Resource: 'arn:aws:iam::*:role/daypass/daypass-*',
      },
    ]);
  });
});

describe('machines', () => {
  test('tell the version of their contract', () => {
    const machines = hub.all<{ StateMachineName: string; Tags: unknown }>('AWS::StepFunctions::StateMachine');
    expect(machines.map(({ StateMachineName }) => StateMachineName).sort()).toEqual([
      'daypass-deprovision',
      'daypass-provision',
      'daypass-renew',
      'daypass-sweep',
    ]);
    for (const { Tags } of machines) expect(Tags).toContainEqual({ Key: CONTRACT_TAG, Value: CONTRACT_VERSION });
  });

  test('tell which environments are open', () => {
    const openOf = (optional_in?: string[]) => {
      const tokens = exampleConfig().identity_tokens;
      const stack = optional_in
        ? new Synthesized('DaypassHub', HUB, { identity_tokens: { ...tokens, optional_in } })
        : hub;
      const machines = stack.all<{ StateMachineName: string; Tags: { Key: string; Value: string }[] }>(
        'AWS::StepFunctions::StateMachine',
      );
      return machines.flatMap(({ StateMachineName, Tags }) =>
        Tags.filter(({ Key }) => Key === OPEN_ENVIRONMENTS_TAG).map(({ Value }) => [StateMachineName, Value]),
      );
    };
    expect(openOf()).toEqual([]);
    expect(openOf(['sandbox', 'non-production'])).toEqual([['daypass-provision', 'sandbox non-production']]);
    // A tag's value has 256 characters.
    const names = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => letter.repeat(60));
    expect(openOf(names)).toEqual([['daypass-provision', [...names.slice(0, 4), '+2'].join(' ')]]);
  });
});

test('what a creation that fails has made goes with it, and nothing else is kept but what holds data', () => {
  const kept = Object.values(
    hub.template.toJSON().Resources as Record<string, { Type: string; DeletionPolicy?: string }>,
  )
    .filter(({ DeletionPolicy = 'Delete' }) => DeletionPolicy !== 'Delete')
    .map(({ Type, DeletionPolicy }) => `${Type}: ${DeletionPolicy}`);
  expect([...new Set(kept)].sort()).toEqual([
    'AWS::DynamoDB::Table: RetainExceptOnCreate',
    'AWS::KMS::Key: RetainExceptOnCreate',
    'AWS::Logs::LogGroup: RetainExceptOnCreate',
  ]);
});

describe('invoker role', () => {
  const GITHUB = 'token.actions.githubusercontent.com';
  const web = (stack: Synthesized) =>
    stack.trust('daypass-invoker').filter(({ Action }) => Action === 'sts:AssumeRoleWithWebIdentity');

  test('can start a provisioning, renew, release, see versions, and watch a release', () => {
    expect(hub.statements('daypass-invoker').map(({ Action, Resource }) => [Action, Resource])).toEqual([
      ['states:StartSyncExecution', '<daypass-provision>'],
      ['states:StartSyncExecution', '<daypass-renew>'],
      ['states:StartExecution', '<daypass-deprovision>'],
      [['kms:Encrypt', 'kms:GetPublicKey'], '<AWS::KMS::Key.Arn>'],
      ['states:ListTagsForResource', ['<daypass-deprovision>', '<daypass-provision>', '<daypass-renew>']],
      ['states:DescribeExecution', `arn:aws:states:us-east-1:${HUB}:execution:daypass-deprovision:*`],
    ]);
  });

  test('is assumed from the listed workflows in repositories of the owner', () => {
    expect(web(hub)).toEqual([
      {
        Effect: 'Allow',
        Action: 'sts:AssumeRoleWithWebIdentity',
        Principal: { Federated: '<AWS::IAM::OIDCProvider>' },
        Condition: {
          StringEquals: { [`${GITHUB}:aud`]: 'sts.amazonaws.com' },
          StringLike: {
            [`${GITHUB}:sub`]: ['repo:my-organization/*', 'repo:my-organization@1234567/*'],
            [`${GITHUB}:repository`]: 'my-organization/*',
            [`${GITHUB}:job_workflow_ref`]: ['my-organization/daypass/.github/workflows/jit-deploy.yml@refs/tags/v*'],
          },
        },
      },
    ]);
    hub.template.hasResourceProperties('AWS::IAM::OIDCProvider', {
      Url: `https://${GITHUB}`,
      ClientIdList: ['sts.amazonaws.com'],
    });
  });

  test('takes both forms of the subject when the owner’s id is not given', () => {
    const { owner, job_workflow_refs } = exampleConfig().github ?? { owner: '', job_workflow_refs: [] };
    const [statement] = web(new Synthesized('DaypassHub', HUB, { github: { owner, job_workflow_refs } }));
    expect(statement?.Condition?.StringLike?.[`${GITHUB}:sub`]).toEqual([
      'repo:my-organization/*',
      'repo:my-organization@*/*',
    ]);
  });

  test('takes the old form of the subject only where every request has to prove the owner’s id', () => {
    const { identity_tokens } = exampleConfig();
    const [github, gitlab] = identity_tokens.issuers;
    if (!github || !gitlab) throw new Error('the example has two issuers');
    const claims = (repository_owner_id?: string[]) => ({
      ...github,
      claims: { repository: ['*'], ...(repository_owner_id && { repository_owner_id }) },
    });
    const sub = (changes: Partial<typeof identity_tokens>) => {
      const stack = new Synthesized('DaypassHub', HUB, { identity_tokens: { ...identity_tokens, ...changes } });
      return web(stack)[0]?.Condition?.StringLike?.[`${GITHUB}:sub`];
    };
    const both = ['repo:my-organization/*', 'repo:my-organization@1234567/*'];
    expect(sub({ issuers: [gitlab] })).toEqual(both);
    expect(sub({ issuers: [claims(['1234567']), gitlab] })).toEqual(both);
    const [, withId] = both;
    expect(sub({ optional_in: ['sandbox'] })).toBe(withId);
    expect(sub({ issuers: [claims()] })).toBe(withId);
    expect(sub({ issuers: [claims(['1234567', '7']), gitlab] })).toBe(withId);
    expect(sub({ issuers: [claims(['1234567']), claims(['*'])] })).toBe(withId);
    expect(sub({ issuers: [claims(['1234567']), { ...claims(), provider: 'other' }] })).toBe(withId);
    expect(sub({ issuers: [claims(['1234567']), { ...gitlab, provider: 'other' }] })).toEqual(both);
  });

  test('uses the provider that the account has already', () => {
    const oidc_provider_arn = `arn:aws:iam::${HUB}:oidc-provider/${GITHUB}`;
    const github = {
      owner: 'o',
      job_workflow_refs: ['o/r/.github/workflows/a.yml@refs/heads/main'],
      oidc_provider_arn,
    };
    const stack = new Synthesized('DaypassHub', HUB, { github });
    expect(web(stack)[0]?.Principal).toEqual({ Federated: oidc_provider_arn });
    stack.template.resourceCountIs('AWS::IAM::OIDCProvider', 0);
  });

  test('is assumed by the other principals, and by GitHub only when it is configured', () => {
    const stack = new Synthesized('DaypassHub', HUB, { github: undefined });
    expect(stack.trust('daypass-invoker')).toEqual([
      { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: `arn:aws:iam::${HUB}:role/jenkins` } },
    ]);
    stack.template.resourceCountIs('AWS::IAM::OIDCProvider', 0);
  });
});

describe('monitoring', () => {
  const machine = (name: string) => [{ Name: 'StateMachineArn', Value: `<daypass-${name}>` }];

  test.each([
    ['deprovision-failed', 'Daypass', 'DeprovisionFailed', undefined],
    ['deprovision-timed-out', 'AWS/States', 'ExecutionsTimedOut', machine('deprovision')],
    ['deprovision-aborted', 'AWS/States', 'ExecutionsAborted', machine('deprovision')],
    ['provision-failed', 'Daypass', 'ProvisionFailed', undefined],
    ['provision-timed-out', 'AWS/States', 'ExecutionsTimedOut', machine('provision')],
    ['renew-failed', 'Daypass', 'RenewFailed', undefined],
    ['renew-timed-out', 'AWS/States', 'ExecutionsTimedOut', machine('renew')],
  ])('%s goes off at the first occurrence', (name, Namespace, MetricName, Dimensions) => {
    const [alarm] = hub.all('AWS::CloudWatch::Alarm').filter(({ AlarmName }) => AlarmName === `daypass-${name}`);
    expect(alarm).toMatchObject({
      Namespace,
      MetricName,
      Statistic: 'Sum',
      Period: 60,
      EvaluationPeriods: 1,
      Threshold: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'notBreaching',
      AlarmActions: ['<daypass-alarms>'],
    });
    expect(alarm?.Dimensions).toEqual(Dimensions);
  });

  test('sweep-missing goes off when none has succeeded for half an hour, also when nothing is known', () => {
    const [alarm] = hub.all('AWS::CloudWatch::Alarm').filter(({ AlarmName }) => AlarmName === 'daypass-sweep-missing');
    expect(alarm).toMatchObject({
      Namespace: 'AWS/States',
      MetricName: 'ExecutionsSucceeded',
      Dimensions: machine('sweep'),
      Statistic: 'Sum',
      Period: 300,
      EvaluationPeriods: 6,
      Threshold: 1,
      ComparisonOperator: 'LessThanThreshold',
      TreatMissingData: 'breaching',
      AlarmActions: ['<daypass-alarms>'],
    });
    expect(alarm?.DatapointsToAlarm).toBeUndefined();
  });

  test('sweep-failed goes off when two of three sweeps have failed', () => {
    const [alarm] = hub.all('AWS::CloudWatch::Alarm').filter(({ AlarmName }) => AlarmName === 'daypass-sweep-failed');
    expect(alarm).toMatchObject({
      Namespace: 'AWS/States',
      MetricName: 'ExecutionsFailed',
      Dimensions: machine('sweep'),
      Period: 300,
      EvaluationPeriods: 3,
      DatapointsToAlarm: 2,
      Threshold: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'notBreaching',
      AlarmActions: ['<daypass-alarms>'],
    });
  });

  /** Of the recorded executions, those that a metric filter counts. */
  const counts = (metric: string): string[] => {
    interface Filter {
      readonly LogGroupName: string;
      readonly FilterPattern: string;
      readonly MetricTransformations: { readonly MetricName: string; readonly MetricValue: string }[];
    }
    const [filter] = hub
      .all<Filter>('AWS::Logs::MetricFilter')
      .filter(({ MetricTransformations: [made] }) => made?.MetricName === metric);
    expect(filter?.MetricTransformations).toEqual([
      { MetricNamespace: 'Daypass', MetricName: metric, MetricValue: '1' },
    ]);
    const counted = logFilter(filter?.FilterPattern ?? '');
    const log = filter?.LogGroupName.replace(/^<.*daypass-/, '').replace('>', '');
    return Object.entries(executions)
      .filter(([kind]) => kind.startsWith(`${log}: `))
      .flatMap(([kind, events]) => events.filter(counted).map(() => kind));
  };

  test.each([
    ['DeprovisionFailed', ['deprovision: failed for good', 'deprovision: its item has gone']],
    ['DeprovisionRefused', ['deprovision: a mistyped id', 'deprovision: of another one', 'deprovision: rubbish']],
    ['ProvisionFailed', ['provision: refused by AWS', 'provision: failed']],
    ['ProvisionOvertaken', ['provision: released while it was provisioned']],
    ['RenewFailed', ['renew: failed']],
  ])('%s counts each such execution once, by its recorded log, and no other one', (metric, kinds) => {
    expect(counts(metric)).toEqual(kinds);
  });

  test('no alarm looks at executions that failed, whatever for', () => {
    const failed = hub.all('AWS::CloudWatch::Alarm').filter(({ MetricName }) => MetricName === 'ExecutionsFailed');
    expect(failed.map(({ AlarmName }) => AlarmName)).toEqual(['daypass-sweep-failed']);
    const counted = hub.all('AWS::CloudWatch::Alarm').map(({ MetricName }) => MetricName);
    expect(counted).not.toContain('DeprovisionRefused');
    expect(counted).not.toContain('ProvisionOvertaken');
  });

  test('each alarm, and the message about an end that failed, leads to its section of the runbook', () => {
    const repository = new URL('../../', import.meta.url).pathname;
    const runbook = readFileSync(join(repository, 'docs/runbook.md'), 'utf8');
    const sections = [...runbook.matchAll(/^## (.*)$/gm)].map(([, title = '']) => title);
    const alarms = hub.all<{ AlarmName: string; AlarmDescription: string }>('AWS::CloudWatch::Alarm');
    expect(alarms.length).toBeGreaterThan(0);
    for (const { AlarmName, AlarmDescription } of alarms) {
      expect(AlarmDescription.endsWith(` What to do: ${RUNBOOK}#${AlarmName}`)).toBe(true);
      expect(sections).toContain(AlarmName);
    }
    expect(sections.filter((title) => title.startsWith('daypass-')).sort()).toEqual(
      alarms.map(({ AlarmName }) => AlarmName).sort(),
    );
    const machine = readFileSync(join(repository, 'statemachine/deprovision.asl.json'), 'utf8');
    expect(machine).toContain(`What to do: ${RUNBOOK}#daypass-deprovision-failed`);
  });

  test('the topic is encrypted, refuses plain HTTP, and takes messages from alarms of Daypass', () => {
    hub.template.hasResourceProperties('AWS::SNS::Topic', {
      TopicName: 'daypass-alarms',
      KmsMasterKeyId: Match.anyValue(),
    });
    const [policy] = hub.all<{ PolicyDocument: { Statement: Statement[] } }>('AWS::SNS::TopicPolicy');
    expect(policy?.PolicyDocument.Statement).toEqual([
      expect.objectContaining({
        Effect: 'Deny',
        Principal: '*',
        Action: 'sns:Publish',
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      }),
      expect.objectContaining({
        Effect: 'Allow',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Action: 'sns:Publish',
        Condition: {
          StringEquals: { 'aws:SourceAccount': HUB },
          ArnLike: { 'aws:SourceArn': `arn:aws:cloudwatch:us-east-1:${HUB}:alarm:daypass-*` },
        },
      }),
    ]);
  });

  test('an e-mail address subscribes when there is one', () => {
    hub.template.hasResourceProperties('AWS::SNS::Subscription', {
      Protocol: 'email',
      Endpoint: 'platform@example.com',
    });
    const silent = new Synthesized('DaypassHub', HUB, { alarm_email: undefined });
    silent.template.resourceCountIs('AWS::SNS::Subscription', 0);
  });

  test('the dashboard shows requests, renewals, leases, sweeps, the table and the tasks', () => {
    const [dashboard] = hub.all<{ DashboardName: string; DashboardBody: string }>('AWS::CloudWatch::Dashboard');
    expect(dashboard?.DashboardName).toBe('daypass');
    const { widgets } = JSON.parse(dashboard?.DashboardBody ?? '');
    expect(widgets.map(({ properties }: { properties: { title: string } }) => properties.title)).toEqual([
      'Requests',
      'Time to a role',
      'Renewals',
      'Time to new credentials',
      'Leases and releases',
      'Sweeps',
      'Transactions table',
      'Task errors',
      'Task durations (99th percentile)',
    ]);
  });
});

describe('schedule of the sweep', () => {
  test('starts it every five minutes, with a role that can do nothing else', () => {
    expect(hub.all('AWS::Scheduler::Schedule')).toEqual([
      {
        Name: 'daypass-sweep-schedule',
        GroupName: 'daypass',
        Description: expect.any(String),
        ScheduleExpression: 'rate(5 minutes)',
        ScheduleExpressionTimezone: 'Etc/UTC',
        FlexibleTimeWindow: { Mode: 'OFF' },
        State: 'ENABLED',
        Target: {
          Arn: '<daypass-sweep>',
          RoleArn: '<daypass-sweep-schedule.Arn>',
          Input: '{}',
          RetryPolicy: { MaximumEventAgeInSeconds: 300, MaximumRetryAttempts: 3 },
        },
      },
    ]);
    expect(hub.statements('daypass-sweep-schedule')).toEqual([
      { Sid: 'StartSweep', Effect: 'Allow', Action: 'states:StartExecution', Resource: '<daypass-sweep>' },
    ]);
    expect(hub.trust('daypass-sweep-schedule')).toEqual([
      {
        Effect: 'Allow',
        Action: 'sts:AssumeRole',
        Principal: { Service: 'scheduler.amazonaws.com' },
        Condition: {
          StringEquals: { 'aws:SourceAccount': HUB, 'aws:SourceArn': '<AWS::Scheduler::ScheduleGroup.Arn>' },
        },
      },
    ]);
  });

  test('comes before the alarm on its absence', () => {
    hub.template.hasResource('AWS::CloudWatch::Alarm', {
      Properties: { AlarmName: 'daypass-sweep-missing' },
      DependsOn: [Match.stringLikeRegexp('^SweepingSchedule')],
    });
  });
});

describe('identity tokens', () => {
  test('are encrypted to a key that only prove may decrypt with', () => {
    const [token] = hub
      .all<{ KeySpec?: string; KeyUsage?: string; KeyPolicy: { Statement: Statement[] } }>('AWS::KMS::Key')
      .filter(({ KeySpec }) => KeySpec !== undefined);
    expect(token).toMatchObject({ KeySpec: 'RSA_3072', KeyUsage: 'ENCRYPT_DECRYPT' });
    // The account's own policies decide, and of those only prove's allows it.
    expect(token?.KeyPolicy.Statement).toHaveLength(1);
  });

  test('count once: the table remembers them for as long as they are valid', () => {
    hub.template.hasResourceProperties('AWS::DynamoDB::Table', {
      TableName: 'daypass-used-tokens',
      KeySchema: [{ AttributeName: 'token_id', KeyType: 'HASH' }],
      TimeToLiveSpecification: { AttributeName: 'token_ends_at', Enabled: true },
      DeletionProtectionEnabled: true,
    });
  });
});

test('the stack is protected and says what its users need to know', () => {
  expect(exampleApp().synth().getStackByName('DaypassHub').terminationProtection).toBe(true);
  expect(Object.keys(hub.template.findOutputs('*')).sort()).toEqual([
    'AlarmTopicArn',
    'DeprovisionArn',
    'ExternalId',
    'IdentityTokenAudience',
    'IdentityTokenKeyArn',
    'InvokerRoleArn',
    'KeyArn',
    'PipelineRoleArn',
    'ProvisionArn',
    'RenewArn',
    'TableName',
  ]);
});
