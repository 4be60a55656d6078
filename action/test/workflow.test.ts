import { expect, test } from 'vitest';
import { visible, Workflow } from '../src/workflow.ts';

/** What a runner takes for commands: https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs */
function commands(printed: string): string[] {
  // It compares as people read: what cannot be seen does not count.
  const lines = printed.split(/\r\n|\r|\n/).map((line) => line.replace(/[\p{Cc}\p{Cf}\p{DI}]/gu, ''));
  return lines.filter((line) => line.trimStart().startsWith('::') || line.includes('##['));
}

const PIECES = ['::', ':', '##[', '#', '[', ']', ' ', '\u00a0', '\u2003', '\t', '\n', '\r', '\r\n', '\u0085', '\u2028'];
const UNSEEN = ['\u200b', '\u00ad', '\u034f', '\ufe0f', '\u180e', '\ufeff', '\u0000', '\u001b[2J', '\u202e', '\ud800'];
const COMMANDS = ['::error::evil', '##[add-path]/evil'];

test('no text is a command to the runner, or does anything to a terminal', () => {
  let printed = '';
  const workflow = new Workflow({}, (text) => void (printed += text));
  const pieces = [...PIECES, ...UNSEEN, ...COMMANDS];
  for (const first of pieces) {
    for (const second of pieces) {
      for (const third of COMMANDS) {
        const text = first + second + third;
        printed = '';
        workflow.info(text);
        expect([text, commands(printed)]).toEqual([text, []]);
        workflow.error(text, text);
        workflow.warning(text, text);
        expect([text, commands(printed).length]).toEqual([text, 2]);
        expect(printed).not.toMatch(/[^\P{Cc}\n]|[\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}]/u);
      }
    }
  }
});

test('what can be seen is printed as it is', () => {
  const text = 'größe: arn:aws:iam::222222222222:role/daypass/x\n  [#1] 100 % of `alex@example.com` – done 🍌';
  expect(visible(text)).toBe(text);
  expect(visible('a\r\nb\rc\u001b[31m')).toBe('a\nb\\u{d}c\\u{1b}[31m');
});

test.each(['a\nb', 'a\rb', 'a\u0000b', 'a\u0085b'])('%j is no value for later steps', (value) => {
  const workflow = new Workflow({}, () => {});
  const says = 'has a line feed or another control character';
  expect(() => workflow.setOutput('role-arn', value)).toThrow(`the value of role-arn ${says}`);
  expect(() => workflow.exportVariable('AWS_PROFILE', value)).toThrow(says);
  expect(() => workflow.addPath(value)).toThrow(says);
});
