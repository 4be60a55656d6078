/** Assertions on synthesised templates that the CDK's own do not have. */
import type { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { exampleApp } from './app.ts';

const NO_VALUE = '<AWS::NoValue>';

type Json = string | number | boolean | Json[] | { [key: string]: Json };

export interface Statement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Action?: string | string[];
  readonly NotAction?: string | string[];
  readonly Resource?: string | string[];
  readonly NotResource?: string | string[];
  readonly Principal?: unknown;
  readonly Condition?: Record<string, Record<string, string | string[]>>;
}

export interface Role {
  readonly RoleName: string;
  readonly AssumeRolePolicyDocument: { readonly Statement: Statement[] };
  readonly Policies: { readonly PolicyDocument: { readonly Statement: Statement[] } }[];
  readonly ManagedPolicyArns?: string[];
  readonly MaxSessionDuration?: number;
}

/** The template of one stack, with references replaced by what a reader would call them. */
export class Synthesized {
  readonly template: Template;

  constructor(
    stack: string,
    readonly account: string,
    changes: Parameters<typeof exampleApp>[0] = {},
    context: Record<string, unknown> = {},
    readonly partition = 'aws',
    /** Values of the template's parameters; one without a value is `${Name}`. */
    readonly parameters: Record<string, string> = {},
  ) {
    const found = exampleApp(changes, context).node.findChild(stack);
    this.template = Template.fromStack(found as Stack);
  }

  /** The properties of every resource of a type. */
  all<T = Record<string, unknown>>(type: string): T[] {
    return Object.values(this.template.findResources(type)).map(({ Properties }) => this.readable(Properties) as T);
  }

  role(name: string): Role {
    const role = this.all<Role>('AWS::IAM::Role').find(({ RoleName }) => RoleName === name);
    if (!role) throw new Error(`no role ${name}`);
    return role;
  }

  /** Every statement of a role's policies; fails when a policy hangs on the role that the role itself does not show. */
  statements(name: string): Statement[] {
    const elsewhere = [...this.all('AWS::IAM::Policy'), ...this.all('AWS::IAM::RolePolicy')];
    if (elsewhere.length > 0) throw new Error('a policy is written outside of its role');
    const { Policies, ManagedPolicyArns } = this.role(name);
    if (ManagedPolicyArns) throw new Error(`${name} has managed policies`);
    return Policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
  }

  trust(name: string): Statement[] {
    return this.role(name).AssumeRolePolicyDocument.Statement;
  }

  /**
   * `Ref` and `Fn::GetAtt` become `<resource>` and `<resource.attribute>`, joins become strings, conditions decide by the
   * parameters.
   */
  private readable(value: Json): Json {
    if (Array.isArray(value)) return value.map((item) => this.readable(item)).filter((item) => item !== NO_VALUE);
    if (typeof value !== 'object') return value;
    const { Ref: ref, 'Fn::GetAtt': attribute, 'Fn::Join': join, 'Fn::If': choice } = value;
    if (Array.isArray(choice)) return this.readable(choice[this.holds(`${choice[0]}`) ? 1 : 2] as Json);
    if (typeof ref === 'string') return this.reference(ref);
    if (Array.isArray(attribute)) return `<${this.named(`${attribute[0]}`)}.${attribute[1]}>`;
    if (Array.isArray(join)) return (this.readable(join[1] as Json) as string[]).join(`${join[0]}`);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.readable(item)]));
  }

  /** Whether a condition of the template holds, which must be that two values are equal, or are not. */
  private holds(condition: string): boolean {
    const { 'Fn::Not': not, 'Fn::Equals': equals = not?.[0]['Fn::Equals'] } =
      this.template.toJSON().Conditions[condition];
    const [left, right] = equals.map((side: Json) => this.readable(side));
    return (left === right) !== Boolean(not);
  }

  private reference(name: string): string {
    const pseudo: Record<string, string> = {
      'AWS::Partition': this.partition,
      'AWS::AccountId': this.account,
      'AWS::NoValue': NO_VALUE,
    };
    const parameter = name in (this.template.toJSON().Parameters ?? {}) ? `\${${name}}` : undefined;
    return pseudo[name] ?? this.parameters[name] ?? parameter ?? `<${this.named(name)}>`;
  }

  /** The physical name of a resource when it has one, else its type; a pseudo parameter is its own name. */
  private named(logicalId: string): string {
    const { Type = logicalId, Properties = {} } = this.template.toJSON().Resources[logicalId] ?? {};
    const names = ['RoleName', 'FunctionName', 'TableName', 'StateMachineName', 'LogGroupName', 'TopicName'];
    return names.map((name) => Properties[name]).find((name) => typeof name === 'string') ?? Type;
  }
}
