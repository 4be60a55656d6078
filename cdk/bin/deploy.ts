/**
 * Deploys one stack: `deploy.ts STACK [options of cdk deploy]`. It says what will be done in which account, and refuses what
 * would fail half-way; then the CDK CLI deploys.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import {
  CloudFormationClient,
  DescribeStacksCommand,
  ListStackResourcesCommand,
  type Stack,
  UpdateTerminationProtectionCommand,
} from '@aws-sdk/client-cloudformation';
import {
  GetOpenIDConnectProviderCommand,
  GetRoleCommand,
  IAMClient,
  ListOpenIDConnectProvidersCommand,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { type Config, ConfigError, loadConfig } from '../lib/config.ts';
import { HUB_STACK, IDENTITY_STACK } from '../lib/names.ts';
import {
  plan,
  PreflightError,
  type Provider,
  ROLE_OF,
  type Situation,
  STACKS,
  type StackName,
} from '../lib/preflight.ts';

const cdk = resolve(import.meta.dirname, '..');
/** Of the two SDKs, this process's and the CDK CLI's, which say so each time; Daypass needs Node.js 20. */
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
const GITHUB = '/token.actions.githubusercontent.com';

async function main([stack, ...given]: string[]): Promise<number> {
  if (!isStack(stack)) throw new PreflightError(stack ?? 'Nothing', [`say which stack: ${STACKS.join(', ')}`]);
  const options = optionsOf(stack, given);
  const file = resolve(process.env.DAYPASS_CONFIG ?? `${cdk}/daypass.config.json`);
  const config = loadConfig(file);
  const situation = await situationOf(stack, config);
  const { does, options: how, unprotect } = plan(stack, config, accountsOf(config), situation);
  console.error(`${stack}: ${does}, ${situation.region}`);
  console.error(`  as             ${situation.caller}`);
  console.error(`  configuration  ${file}`);
  console.error(`  personas       ${config.personas_file}`);
  if (stack === HUB_STACK) console.error(`  functions      ${config.assets_dir}, for ${config.architecture}`);
  if (unprotect) await unprotected(stack, situation.region);
  const chosen = options.some((option) => /^(--(no-)?rollback|-R)(=|$)/.test(option)) ? [] : how;
  return run([`${cdk}/node_modules/.bin/cdk`, 'deploy', stack, '--exclusively', ...chosen, ...options]);
}

/**
 * The options for the CDK CLI, of which none changes what is deployed, or to where. A profile becomes that of this process, and so of
 * the CDK CLI's.
 *
 * @throws PreflightError when one does, or when nobody could approve
 */
function optionsOf(stack: StackName, given: string[]): string[] {
  const options: string[] = [];
  const problems: string[] = [];
  for (let i = 0; i < given.length; i++) {
    const option = given[i] ?? '';
    const [name, value] = option.split(/=(.*)/s);
    if (name === '--profile') process.env.AWS_PROFILE = value ?? given[++i] ?? '';
    else if (['--app', '-a', '--all', '--role-arn', '--roleArn', '-r'].includes(name ?? '')) {
      problems.push(
        `${name} would deploy something else, or as somebody else, than is said here: call the CDK CLI itself`,
      );
    } else if (isStack(option) || (!option.startsWith('-') && /[*?]/.test(option))) {
      problems.push(`${option}: one deployment is of one stack`);
    } else options.push(option);
  }
  if (!process.stdin.isTTY && !options.some((option) => option.startsWith('--require-approval'))) {
    const remedy = `make deploy STACK=${stack} ARGS='--require-approval never'`;
    problems.push(`without a terminal nobody can approve changes of permissions: ${remedy}`);
  }
  if (problems.length > 0) throw new PreflightError(stack, problems);
  return options;
}

const isStack = (name?: string): name is StackName => STACKS.some((stack) => stack === name);

function accountsOf({ personas_file }: Config): string[] {
  const { accounts } = JSON.parse(readFileSync(personas_file, 'utf8')) as { accounts?: { id?: string }[] };
  return (accounts ?? []).flatMap(({ id }) => id ?? []);
}

async function situationOf(stack: StackName, config: Config): Promise<Situation> {
  const regions: Partial<Record<StackName, string>> = {
    [HUB_STACK]: config.hub.region,
    [IDENTITY_STACK]: config.identity.region,
  };
  // The stacks of targets are deployed to whatever region the credentials say.
  const sts = new STSClient(regions[stack] ? { region: regions[stack] } : {});
  const region = await sts.config.region();
  const { Account = '', Arn = '' } = await sts.send(new GetCallerIdentityCommand({}));
  const found = await stackOf(stack, region);
  return {
    caller: Arn,
    account: Account,
    region,
    ...(found?.StackStatus && { status: found.StackStatus }),
    terminationProtection: found?.EnableTerminationProtection ?? false,
    ...(await takenRole(stack, region, found)),
    // Of another account than the hub's it would be somebody else's.
    ...(stack === HUB_STACK && Account === config.hub.account_id && (await providerOf(region, found))),
  };
}

async function stackOf(stack: StackName, region: string): Promise<Stack | undefined> {
  try {
    const { Stacks } = await new CloudFormationClient({ region }).send(new DescribeStacksCommand({ StackName: stack }));
    return Stacks?.[0];
  } catch (error) {
    if (error instanceof Error && /does not exist/.test(error.message)) return undefined;
    throw error;
  }
}

async function providerOf(region: string, stack: Stack | undefined): Promise<{ github?: Provider }> {
  const iam = new IAMClient({ region });
  const { OpenIDConnectProviderList = [] } = await iam.send(new ListOpenIDConnectProvidersCommand({}));
  const arn = OpenIDConnectProviderList.find(({ Arn }) => Arn?.endsWith(GITHUB))?.Arn;
  if (!arn) return {};
  const { ClientIDList = [] } = await iam.send(new GetOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: arn }));
  return { github: { arn, clientIds: ClientIDList, ofStack: stack !== undefined && (await has(stack, region, arn)) } };
}

/** The role of the stack, if the account has it and the stack does not. */
async function takenRole(stack: StackName, region: string, found: Stack | undefined): Promise<{ takenRole?: string }> {
  const role = ROLE_OF[stack];
  if (role === undefined) return {};
  try {
    await new IAMClient({ region }).send(new GetRoleCommand({ RoleName: role }));
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchEntityException') return {};
    throw error;
  }
  return found && (await has(found, region, role)) ? {} : { takenRole: role };
}

/** Whether a resource is of the stack. */
async function has(stack: Stack, region: string, id: string): Promise<boolean> {
  const client = new CloudFormationClient({ region });
  let NextToken: string | undefined;
  do {
    const page = await client.send(new ListStackResourcesCommand({ StackName: stack.StackName, NextToken }));
    if (page.StackResourceSummaries?.some(({ PhysicalResourceId }) => PhysicalResourceId === id)) return true;
    NextToken = page.NextToken;
  } while (NextToken);
  return false;
}

/** The CDK CLI deletes what is left of a creation that was rolled back, if it may. */
async function unprotected(stack: StackName, region: string): Promise<void> {
  console.error('  termination protection is switched off until it is created');
  const off = new UpdateTerminationProtectionCommand({ StackName: stack, EnableTerminationProtection: false });
  await new CloudFormationClient({ region }).send(off);
}

/** Runs a command to its end, also when this one is asked to end: the CDK CLI then knows best how. */
function run([command = '', ...args]: string[]): Promise<number> {
  const child = spawn(command, args, { cwd: cdk, stdio: 'inherit' });
  // The terminal sends an interrupt to both.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((ended, failed) => {
    child.on('error', failed);
    child.on('exit', (code, signal) => ended(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
  });
}

/** What is wrong before AWS has been asked, in words with a remedy. */
function remedied({ name, message }: Error): string {
  if (/region is missing/i.test(message)) return 'no region is set: set AWS_REGION to that of the deployment';
  if (/Credentials/.test(name)) {
    return `there are no AWS credentials (${message}): log in, set AWS_PROFILE, or ARGS='--profile …'`;
  }
  return `${name}: ${message}`;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof ConfigError || error instanceof PreflightError;
  console.error(known ? error.message : remedied(error as Error));
  process.exitCode = 1;
}
