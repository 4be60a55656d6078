import { expect, test } from 'vitest';
import { duration, refused } from '../src/summary.ts';

test.each([
  [0.25, '15 min'],
  [1.5, '1 h 30 min'],
  [24, '24 h'],
  [20 / 3600, '20 s'],
  [1 / 3, '20 min'],
  [0, '0 s'],
])('%s hours are said as %s', (hours, said) => {
  expect(duration(hours)).toBe(said);
});

test('words of others bring neither markup nor rows into the summary', () => {
  const evil =
    'https://evil.example WWW.evil.example \u001b[2J\u202e a|b\n| c | d |\n<img src=x> [link](https://example.com) `code` **bold** ![i](x)';
  const summary = refused({ reason: evil, docs: 'https://example.com/ onclick=x' }, false, 'payments-dev', 'id');
  const rows = summary.split('\n').filter((line) => line.startsWith('|'));
  expect(rows.length).toBe(2 + 4);
  expect(rows.find((row) => row.startsWith('| Reason'))).not.toMatch(/[<>[\]`*!]/);
  expect(summary).not.toContain('<https://example.com/ ');
  expect(summary).not.toMatch(/:\/|www\.|[^\P{Cc}\n]|\p{Cf}/iu);
});
