import type { App } from 'aws-cdk-lib';
import type { Config } from './config.ts';
import { wrongWith } from './functions.ts';
import { HubStack } from './hub-stack.ts';
import { IdentityStack } from './identity-stack.ts';
import { TASKS } from './names.ts';
import { TargetStack } from './target-stack.ts';
import { TargetsStackSet } from './targets-stack-set.ts';

/**
 * Adds the stacks of a deployment to the app: hub and target always, the identity stack when Identity Center lives in
 * another account, the stack set when the configuration names organisational units.
 *
 * @param definitions the folder of the ASL files
 */
export function addStacks(app: App, config: Config, definitions: string): void {
  const hub = new HubStack(app, { config, definitions });
  // An assembly for other stacks needs no functions. Without them the hub is not a part of it, lest it be deployed from there.
  if (!hub.bundlingRequired && TASKS.some((task) => wrongWith(config.assets_dir, task, config.architecture))) {
    app.node.tryRemoveChild(hub.node.id);
  }
  new TargetStack(app, { config });
  if (config.identity.account_id !== config.hub.account_id) new IdentityStack(app, { config });
  if (config.organization) new TargetsStackSet(app, { config, organization: config.organization });
}
