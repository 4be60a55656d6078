import { join } from 'node:path';
import { CfnOutput, Stack, Tags } from 'aws-cdk-lib';
import { StateMachineType } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';
import { HubKey } from './constructs/hub-key.ts';
import { IdentityTokens } from './constructs/identity-tokens.ts';
import { InvokerRole } from './constructs/invoker-role.ts';
import { Monitoring } from './constructs/monitoring.ts';
import { OpenRolesTable } from './constructs/open-roles-table.ts';
import { PipelineRole } from './constructs/pipeline-role.ts';
import { StateMachine } from './constructs/state-machine.ts';
import { Sweep } from './constructs/sweep.ts';
import { TaskFunctions } from './constructs/task-functions.ts';
import { TransactionsTable } from './constructs/transactions-table.ts';
import { DEPROVISION_MACHINE, HUB_STACK, OPEN_ENVIRONMENTS_TAG, PROVISION_MACHINE, RENEW_MACHINE } from './names.ts';

export interface HubStackProps {
  readonly config: Config;
  /** The folder that `provision.asl.json`, `renew.asl.json`, `deprovision.asl.json` and `sweep.asl.json` are in. */
  readonly definitions: string;
}

/** The hub: everything of Daypass but what stands in target accounts and in the identity account. */
export class HubStack extends Stack {
  constructor(scope: Construct, { config, definitions }: HubStackProps) {
    super(scope, HUB_STACK, {
      description: 'Daypass hub: issues temporary deploy roles in target accounts and takes them away again',
      env: { account: config.hub.account_id, region: config.hub.region },
      terminationProtection: true,
    });
    const key = new HubKey(this, 'Key');
    const table = new TransactionsTable(this, 'Transactions', { key });
    const openRoles = new OpenRolesTable(this, 'OpenRoles', { key });
    const tokens = new IdentityTokens(this, 'IdentityTokens', { key });
    const functions = new TaskFunctions(this, 'Tasks', { config, key, table, openRoles, tokens }).all;

    const monitoring = new Monitoring(this, 'Monitoring', { config, key });
    const deprovision = new StateMachine(this, 'Deprovision', {
      name: DEPROVISION_MACHINE,
      type: StateMachineType.STANDARD,
      definition: join(definitions, 'deprovision.asl.json'),
      tasks: { record: functions.record, 'delete-role': functions['delete-role'] },
      tells: { alarms: monitoring.topic },
      config,
      key,
    });
    const provision = new StateMachine(this, 'Provision', {
      name: PROVISION_MACHINE,
      type: StateMachineType.EXPRESS,
      definition: join(definitions, 'provision.asl.json'),
      tasks: functions,
      starts: { deprovision: deprovision.machine },
      putsInto: { used_tokens: tokens.used },
      config,
      key,
    });
    const open = config.identity_tokens.optional_in;
    if (open.length > 0) Tags.of(provision.machine).add(OPEN_ENVIRONMENTS_TAG, tagValue(open));
    const { 'create-role': _createRole, 'delete-role': _deleteRole, ...renewing } = functions;
    const renew = new StateMachine(this, 'Renew', {
      name: RENEW_MACHINE,
      type: StateMachineType.EXPRESS,
      definition: join(definitions, 'renew.asl.json'),
      tasks: renewing,
      putsInto: { used_tokens: tokens.used },
      config,
      key,
    });
    const machines = { provision: provision.machine, renew: renew.machine, deprovision: deprovision.machine };
    const sweep = new Sweep(this, 'Sweeping', {
      config,
      key,
      table,
      deprovision: machines.deprovision,
      definition: join(definitions, 'sweep.asl.json'),
    });

    const pipelineRole = new PipelineRole(this, 'PipelineRole', { issuer: functions['issue-creds'].role });
    const invokerRole = new InvokerRole(this, 'InvokerRole', { config, ...machines, tokenKey: tokens.key });
    monitoring.watch({ provision, renew, deprovision, sweep, functions, table });

    const outputs = {
      ProvisionArn: machines.provision.stateMachineArn,
      RenewArn: machines.renew.stateMachineArn,
      DeprovisionArn: machines.deprovision.stateMachineArn,
      TableName: table.tableName,
      InvokerRoleArn: invokerRole.roleArn,
      PipelineRoleArn: pipelineRole.roleArn,
      AlarmTopicArn: monitoring.topic.topicArn,
      KeyArn: key.keyArn,
      ExternalId: config.external_id,
      IdentityTokenKeyArn: tokens.key.keyArn,
      IdentityTokenAudience: config.identity_tokens.audience,
    };
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
  }
}

/** The names with spaces between them: a tag's value has no commas. Those that it has no room for are counted: `+2`. */
function tagValue(names: readonly string[]): string {
  const fitting = (most: number) => names.filter((_, i) => names.slice(0, i + 1).join(' ').length <= most);
  if (fitting(256).length === names.length) return names.join(' ');
  const shown = fitting(250);
  return [...shown, `+${names.length - shown.length}`].join(' ');
}
