import { Aws, CfnCondition, CfnParameter, Fn } from 'aws-cdk-lib';
import { Construct } from 'constructs';

/**
 * What the account's trail writes to, as parameters of a stack: the bucket, the key and the log group. Each may be empty.
 *
 * Lengths are bounded, since they count towards the size of the boundary.
 */
export class Trail extends Construct {
  /** For a stack that hands them on. */
  readonly parameters: CfnParameter[];
  private readonly bucket: CfnParameter;
  private readonly logGroup: CfnParameter;
  private readonly key: CfnParameter;
  private named?: string[];

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.bucket = this.parameter('TrailBucket', {
      description: 'How the names of the buckets begin that a trail of this account writes to; may be empty',
      allowedPattern: '([a-z0-9][a-z0-9.-]{0,62})?',
      constraintDescription: 'the name of a bucket, or its beginning, without ARN and wildcard',
    });
    this.logGroup = this.parameter('TrailLogGroup', {
      description: 'How the names of the log groups begin that a trail of this account writes to; may be empty',
      allowedPattern: '([a-zA-Z0-9_/.#-]{1,64})?',
      constraintDescription: 'the first 64 characters of the name of a log group, without ARN and wildcard',
    });
    this.key = this.parameter('TrailKeyArn', {
      description: 'ARN of the key that a trail of this account encrypts with, and nothing else does; may be empty',
      allowedPattern: '(arn:[a-z-]{3,10}:kms:[a-z0-9-]{9,14}:[0-9]{12}:key/[a-zA-Z0-9-]{1,36})?',
      constraintDescription: 'the ARN of a KMS key, not of an alias',
    });
    this.parameters = [this.bucket, this.logGroup, this.key];
  }

  /** The resources, as a policy names them; CloudFormation leaves out those of empty parameters. */
  get arns(): string[] {
    this.named ??= [
      this.unlessEmpty(this.bucket, `arn:*:s3:::${this.bucket.valueAsString}*`),
      this.unlessEmpty(this.logGroup, `arn:*:logs:*:*:log-group:${this.logGroup.valueAsString}*`),
      this.unlessEmpty(this.key, this.key.valueAsString),
    ];
    return this.named;
  }

  private parameter(name: string, props: ConstructorParameters<typeof CfnParameter>[2]): CfnParameter {
    const parameter = new CfnParameter(this, name, { type: 'String', default: '', ...props });
    parameter.overrideLogicalId(name);
    return parameter;
  }

  private unlessEmpty(parameter: CfnParameter, arn: string): string {
    const name = `Has${parameter.node.id}`;
    const given = new CfnCondition(this, name, {
      expression: Fn.conditionNot(Fn.conditionEquals(parameter.valueAsString, '')),
    });
    given.overrideLogicalId(name);
    return Fn.conditionIf(name, arn, Aws.NO_VALUE).toString();
  }
}
