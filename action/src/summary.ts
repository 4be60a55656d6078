/** What the job's summary says. */
import type { Grant, Refusal } from './daypass.ts';
import { visible } from './workflow.ts';

export function granted(grant: Grant): string {
  return table('Daypass: role granted', [
    ['Account', `${text(grant.account)} (${text(grant.account_id)})`],
    ['Person', text(grant.email)],
    ['Branch', text(grant.branch)],
    ['Persona', text(grant.persona)],
    ['Role', code(grant.iam_role_arn)],
    ['Transaction', code(grant.transaction_id)],
    ['Ends by itself', `${text(grant.expires_at)} (${duration(grant.role_ttl_hours)} after the request)`],
  ]);
}

export function refused(refusal: Refusal, denied: boolean, account: string, transaction: string): string {
  return table(denied ? 'Daypass: access denied' : 'Daypass: no role', [
    ['Account', text(account)],
    ['Error', refusal.error && code(refusal.error)],
    ['Reason', text(refusal.reason)],
    ['What to do', refusal.remedy && text(refusal.remedy)],
    ['More', refusal.docs && link(refusal.docs)],
    ['Transaction', code(transaction)],
  ]);
}

export function released(transaction: string): string {
  return `Daypass: the role of transaction ${code(transaction)} was given back.\n`;
}

export function notReleased(title: string, refusal: Refusal, transaction: string, end: string): string {
  return table(`Daypass: ${title}`, [
    ['Error', refusal.error && code(refusal.error)],
    ['Reason', text(refusal.reason)],
    ['What to do', refusal.remedy && text(refusal.remedy)],
    ['More', refusal.docs && link(refusal.docs)],
    ['Transaction', code(transaction)],
    ['Without anybody', text(end)],
  ]);
}

/** Hours as people say them. */
export function duration(hours: number): string {
  const seconds = Math.round(hours * 3600);
  const parts = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor((seconds % 3600) / 60), 'min'],
    [seconds % 60, 's'],
  ].filter(([count]) => count !== 0);
  return parts.map(([count, unit]) => `${count} ${unit}`).join(' ') || '0 s';
}

function table(title: string, rows: [string, string | undefined][]): string {
  const lines = rows.filter(([, value]) => value).map(([name, value]) => `| ${name} | ${value} |`);
  return [`### ${title}`, '', '| | |', '|---|---|', ...lines, ''].join('\n');
}

/** Somebody else's words as they are: no Markdown, no HTML, no link, no further row or column. */
function text(value: string): string {
  return visible(oneLine(value)).replace(
    /[\\`*_{}[\]<>()#|~!&@$]|:(?=\/)|(?<=www)\./gi,
    (found) => `&#${found.codePointAt(0)};`,
  );
}

function code(value: string): string {
  return `<code>${text(value)}</code>`;
}

/** A link, if it is nothing but one. */
function link(url: string): string {
  return /^https:\/\/[\w./~%#-]+$/.test(url) ? `<${url}>` : text(url);
}

function oneLine(value: string): string {
  return value.replace(/\s+/g, ' ').trim();
}
