/** As much of IAM's policy evaluation as the policies of this app need. */
import type { Statement } from './template.ts';

export interface Request {
  readonly action: string;
  readonly resource: string;
  /** Condition keys of the request. */
  readonly context?: Record<string, string>;
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

const operators: Record<string, (pattern: string, value: string) => boolean> = {
  StringEquals: (pattern, value) => pattern === value,
  StringLike: matches,
  ArnEquals: matches,
  ArnLike: matches,
};

function holds(condition: Statement['Condition'], context: Record<string, string>): boolean {
  return Object.entries(condition ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, patterns]) => {
      const compare = operators[operator];
      if (!compare) throw new Error(`no operator ${operator}`);
      const value = context[key];
      return value !== undefined && list(patterns).some((pattern) => compare(pattern, value));
    }),
  );
}

function applies(statement: Statement, { action, resource, context = {} }: Request): boolean {
  // Actions are compared without regard to case, ARNs are not.
  const named = (patterns: string[]) => patterns.some((pattern) => matches(pattern, action, 'i'));
  const meant = (patterns: string[]) => patterns.some((pattern) => matches(pattern, resource));
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
