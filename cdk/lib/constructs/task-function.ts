import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Annotations, type Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { bootstrapOf, wrongWith } from '../functions.ts';
import { type Task, taskName } from '../names.ts';
import { limitEnvironment } from '../quotas.ts';

export interface TaskFunctionProps {
  readonly task: Task;
  readonly config: Config;
  /** Encrypts the function's log group. */
  readonly key: kms.IKey;
  /** What the function may do besides writing its own logs and traces. */
  readonly statements: iam.PolicyStatement[];
  readonly environment: Record<string, string>;
  readonly timeout: Duration;
  /** Whether personas.json lies beside the binary. */
  readonly personas: boolean;
}

/** How functions are made that Lambda can run. */
const BUILD = {
  x86_64: 'build it with `make functions`, or take the functions of a release (docs/install.md)',
  arm64: 'build it with `make functions ARCH=arm64`, or take the functions of a release (docs/install.md)',
};

/** What makes a task's environment long. */
const SHORTEN: Partial<Record<Task, string>> = {
  prove:
    'list fewer issuers in `identity_tokens.issuers`, fewer and shorter patterns in their `claims`, or open fewer environments ' +
    'in personas.json',
};

/** One task: its function, a role that only this function has, and its log group. */
export class TaskFunction extends Construct {
  readonly function: lambda.Function;
  readonly role: iam.Role;

  constructor(scope: Construct, id: string, props: TaskFunctionProps) {
    super(scope, id);
    const name = taskName(props.task);
    const logGroup = new logs.LogGroup(this, 'Logs', {
      logGroupName: `/aws/lambda/${name}`,
      retention: props.config.log_retention_days,
      encryptionKey: props.key,
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    this.role = new iam.Role(this, 'Role', {
      roleName: name,
      description: `Execution role of the function ${name}`,
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: {
        task: new iam.PolicyDocument({
          statements: [
            new iam.PolicyStatement({
              sid: 'OwnLogs',
              actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
              resources: [logGroup.logGroupArn],
            }),
            new iam.PolicyStatement({
              sid: 'Traces',
              actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'],
              resources: ['*'],
            }),
            ...props.statements,
          ],
        }),
      },
    });
    Validations.of(this.role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason: 'X-Ray has no resources that a policy could name.',
    });
    this.function = new lambda.Function(this, 'Function', {
      functionName: name,
      // The role's one policy is written out above: the construct library must not add to it.
      role: this.role.withoutPolicyUpdates(),
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture: props.config.architecture === 'arm64' ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64,
      handler: 'bootstrap',
      code: this.code(props),
      environment: props.environment,
      memorySize: 256,
      timeout: props.timeout,
      tracing: lambda.Tracing.ACTIVE,
      logGroup,
      loggingFormat: lambda.LoggingFormat.JSON,
    });
    limitEnvironment(this.function, SHORTEN[props.task] ?? 'shorten what the configuration tells it');
  }

  /**
   * The package: the built binary and, for the tasks that read it, the configured personas.json, so that a change of
   * personas is deployed without a build.
   */
  private code({ task, config, personas }: TaskFunctionProps): lambda.Code {
    const directory = mkdtempSync(join(tmpdir(), `daypass-${task}-`));
    try {
      this.addBinary(config, task, join(directory, 'bootstrap'));
      if (personas) copyFileSync(config.personas_file, join(directory, 'personas.json'));
      // Binding stages a copy, so the directory can go; the asset's hash depends on the content alone.
      const code = lambda.Code.fromAsset(directory);
      code.bind(this);
      return code;
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  /** Copies the built binary, if it can be deployed. */
  private addBinary({ assets_dir, architecture }: Config, task: Task, destination: string): void {
    const source = bootstrapOf(assets_dir, task);
    const problem = wrongWith(assets_dir, task, architecture);
    if (problem === undefined) {
      copyFileSync(source, destination);
      chmodSync(destination, 0o755);
    } else if (Stack.of(this).bundlingRequired) {
      // Else the CLI is about to deploy other stacks: a target is on-boarded without a build (../app.ts).
      Annotations.of(this).addError(`${source} ${problem}: ${BUILD[architecture]}`);
    }
  }
}
