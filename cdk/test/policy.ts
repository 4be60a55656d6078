/** As much of IAM's policy evaluation as the policies of this app need. */
import type { Statement } from './template.ts';

export interface Request {
  readonly action: string;
  readonly resource: string;
  /** Condition keys of the request; those of several values have a list. */
  readonly context?: Record<string, string | string[]>;
}

type Verdict = 'allowed' | 'denied' | 'not allowed';

const list = (value: string | string[] | undefined): string[] => (value === undefined ? [] : [value].flat());

/** `*` and `?` as IAM has them: they match across `/` and `:`. */
function matches(pattern: string, value: string, flags = ''): boolean {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${escaped}$`, flags).test(value);
}

/** Whether what a condition names (`patterns`) fits what a request says of the key (`values`, possibly none). */
type Operator = (patterns: string[], values: string[]) => boolean;

const any =
  (compare: (pattern: string, value: string) => boolean): Operator =>
  (patterns, values) =>
    values.some((value) => patterns.some((pattern) => compare(pattern, value)));
const all =
  (compare: (pattern: string, value: string) => boolean): Operator =>
  (patterns, values) =>
    values.every((value) => patterns.some((pattern) => compare(pattern, value)));
const not =
  (operator: Operator): Operator =>
  (patterns, values) =>
    !operator(patterns, values);
const like = any((pattern, value) => matches(pattern, value));

const operators: Record<string, Operator> = {
  StringEquals: any((pattern, value) => pattern === value),
  StringLike: like,
  ArnEquals: like,
  ArnLike: like,
  ArnNotLike: not(like),
  Null: (patterns, values) => patterns.includes('true') === (values.length === 0),
  'ForAnyValue:StringEqualsIgnoreCase': any((pattern, value) => pattern.toLowerCase() === value.toLowerCase()),
  'ForAllValues:StringLike': all((pattern, value) => matches(pattern, value)),
};

function holds(condition: Statement['Condition'], context: NonNullable<Request['context']>): boolean {
  return Object.entries(condition ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, patterns]) => {
      const fits = operators[operator];
      if (!fits) throw new Error(`no operator ${operator}`);
      return fits(list(patterns), list(context[key]));
    }),
  );
}

function applies(statement: Statement, { action, resource, context = {} }: Request): boolean {
  // Actions are compared without regard to case, ARNs are not.
  const named = (patterns: string[]) => patterns.some((pattern) => matches(pattern, action, 'i'));
  // A policy variable stands for its value; one without a value matches nothing.
  const filled = (pattern: string) => pattern.replace(/\$\{(aws:[^}]+)\}/g, (whole, key) => `${context[key] ?? whole}`);
  const meant = (patterns: string[]) => patterns.some((pattern) => matches(filled(pattern), resource));
  return (
    (statement.NotAction ? !named(list(statement.NotAction)) : named(list(statement.Action))) &&
    (statement.NotResource ? !meant(list(statement.NotResource)) : meant(list(statement.Resource))) &&
    holds(statement.Condition, context)
  );
}

/** What one policy says to a request. */
export function evaluate(statements: readonly Statement[], request: Request): Verdict {
  const said = statements.filter((statement) => applies(statement, request)).map(({ Effect }) => Effect);
  if (said.includes('Deny')) return 'denied';
  return said.includes('Allow') ? 'allowed' : 'not allowed';
}
