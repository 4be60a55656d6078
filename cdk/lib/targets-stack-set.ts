import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, CfnStackSet, LegacyStackSynthesizer, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';
import { Trail } from './constructs/trail.ts';
import { deleteDataParameter } from './constructs/workloads-boundary.ts';
import { TARGET_STACK, TARGETS_STACK } from './names.ts';
import { TargetStack } from './target-stack.ts';

export interface TargetsStackSetProps {
  readonly config: Config;
  readonly organization: NonNullable<Config['organization']>;
}

/**
 * The target stack in every account of the given organisational units, and in every account that joins them later.
 *
 * It is deployed from the organisation's management account or from a delegated administrator for stack sets. It never
 * reaches the management account itself: if need be, that one is on-boarded with the target stack. Its parameters are
 * those of the target stack, for all accounts; an account's own values are overrides of its stack instance.
 */
export class TargetsStackSet extends Stack {
  constructor(scope: Construct, { config, organization }: TargetsStackSetProps) {
    super(scope, TARGETS_STACK, {
      description: 'Daypass targets: the target stack in every account of some organisational units',
      synthesizer: new LegacyStackSynthesizer(),
    });
    const trail = new Trail(this, 'Trail');
    new CfnStackSet(this, 'Targets', {
      stackSetName: TARGET_STACK,
      description: 'Lets Daypass manage temporary deploy roles',
      permissionModel: 'SERVICE_MANAGED',
      callAs: organization.delegated_administrator ? 'DELEGATED_ADMIN' : 'SELF',
      capabilities: ['CAPABILITY_NAMED_IAM'],
      autoDeployment: { enabled: true, retainStacksOnAccountRemoval: false },
      managedExecution: { Active: true },
      operationPreferences: { failureTolerancePercentage: 10, maxConcurrentPercentage: 25 },
      stackInstancesGroup: [
        {
          deploymentTargets: { organizationalUnitIds: organization.organizational_unit_ids },
          // IAM is global: in a second region the same names would collide with the first.
          regions: [config.hub.region],
        },
      ],
      parameters: [...trail.parameters, deleteDataParameter(this)].map((parameter) => ({
        parameterKey: parameter.logicalId,
        parameterValue: parameter.valueAsString,
      })),
      templateBody: JSON.stringify(targetTemplate(config, this.node.getAllContext())),
    });
  }
}

/** The template of the target stack, from the same code, synthesised apart so that it can be quoted. */
function targetTemplate(config: Config, context: Record<string, unknown>): unknown {
  const outdir = mkdtempSync(join(tmpdir(), 'daypass-target-'));
  try {
    const app = new App({ outdir, context, analyticsReporting: false });
    new TargetStack(app, { config });
    return app.synth().getStackByName(TARGET_STACK).template;
  } finally {
    rmSync(outdir, { recursive: true });
  }
}
