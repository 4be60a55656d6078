/** As much of the patterns of CloudWatch's metric filters as Daypass uses: fields of JSON that equal texts, all of them. */

export interface LogEvent {
  readonly type: string;
  readonly details: Record<string, unknown>;
}

/**
 * Whether a log event matches the pattern `{ ($.a = "x") && ($.b.c = "y") }`.
 *
 * Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html>. A field that is
 * not there matches nothing. A `*` in a text stands for any text; any other operator is not known here, and throws.
 */
export function logFilter(pattern: string): (event: LogEvent) => boolean {
  const [, inner = ''] = /^\{ (.+) \}$/.exec(pattern) ?? [];
  const terms = inner.split(' && ').map((term) => {
    const [, path = '', text = ''] = /^\(\$\.([\w.]+) = "([^"]*)"\)$/.exec(term) ?? [];
    if (!path) throw new Error(`a pattern that is not known here: ${pattern}`);
    const parts = text.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
    return { path: path.split('.'), matches: new RegExp(`^${parts.join('.*')}$`, 's') };
  });
  return (event) =>
    terms.every(({ path, matches }) => {
      const value = path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], event);
      return typeof value === 'string' && matches.test(value);
    });
}
