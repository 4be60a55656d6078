/** What AWS refuses for its length, refused at synthesis: a deployment that fails half-way is harder to mend. */
import { Annotations, Aspects, Stack } from 'aws-cdk-lib';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';

/** Characters of a role's trust policy: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html. */
const TRUST_POLICY = 2_048;
/** Bytes of a function's environment, as JSON: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. */
const ENVIRONMENT = 4_096;

/** As long as the ARNs and ids that only the deployment knows. */
const UNKNOWN = 'x'.repeat(75);

/**
 * Refuses a role whose trust policy is longer than IAM takes by default.
 *
 * @param shorten what to do about it: the keys of the configuration that make it long
 */
export function limitTrustPolicy(role: iam.Role, shorten: string): void {
  limit(role, TRUST_POLICY, `the trust policy of ${name(role)}`, 'characters', shorten, () => {
    const { assumeRolePolicyDocument } = role.node.defaultChild as iam.CfnRole;
    return rendered(role, assumeRolePolicyDocument).length;
  });
}

/**
 * Refuses a function whose environment is longer than Lambda takes.
 *
 * @param shorten what to do about it: the keys of the configuration that make it long
 */
export function limitEnvironment(of: lambda.Function, shorten: string): void {
  limit(of, ENVIRONMENT, `the environment of ${name(of)}`, 'bytes', shorten, () => {
    const { environment } = of.node.defaultChild as lambda.CfnFunction;
    const { variables } = Stack.of(of).resolve(environment) ?? {};
    return Buffer.byteLength(rendered(of, variables ?? {}));
  });
}

function limit(
  scope: Construct,
  most: number,
  what: string,
  unit: string,
  shorten: string,
  measure: () => number,
): void {
  Aspects.of(scope).add({
    visit: (node) => {
      if (node !== scope) return;
      const length = measure();
      const amount = (number: number) => number.toLocaleString('en');
      if (length <= most) return;
      const problem = `${what} would have ${amount(length)} ${unit}, and AWS takes ${amount(most)}`;
      Annotations.of(scope).addError(`${problem}: ${shorten}`);
    },
  });
}

function name(of: iam.Role | lambda.Function): string {
  const { roleName, functionName } = of.node.defaultChild as { roleName?: string; functionName?: string };
  return roleName ?? functionName ?? of.node.path;
}

/** The JSON that AWS will be given, as far as its length goes. */
function rendered(scope: Construct, value: unknown): string {
  const { account, region, partition } = Stack.of(scope);
  const known: Record<string, unknown> = {
    'AWS::AccountId': account,
    'AWS::Region': region,
    'AWS::Partition': partition,
  };
  const fill = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(fill);
    if (typeof value !== 'object' || value === null) return value;
    const [[key, argument] = ['', undefined], ...others] = Object.entries(value);
    if (others.length === 0 && key === 'Ref') {
      const text = known[argument as string];
      return typeof text === 'string' && !text.startsWith('${') ? text : UNKNOWN;
    }
    if (others.length === 0 && key === 'Fn::Join') {
      const [separator, parts] = argument as [string, unknown[]];
      return parts.map(fill).join(separator);
    }
    if (others.length === 0 && key.startsWith('Fn::')) return UNKNOWN;
    return Object.fromEntries(Object.entries(value).map(([key, value]) => [key, fill(value)]));
  };
  return JSON.stringify(fill(Stack.of(scope).resolve(value)));
}
