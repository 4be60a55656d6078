import { CfnOutput, LegacyStackSynthesizer, Stack, Tags } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';
import { Boundary } from './constructs/boundary.ts';
import { ProvisionerRole } from './constructs/provisioner-role.ts';
import { Trail } from './constructs/trail.ts';
import { WorkloadsBoundary } from './constructs/workloads-boundary.ts';
import { PROTECTED_TAG, TARGET_STACK } from './names.ts';
import { VERSION } from './version.ts';

/**
 * What stands in a target account: the provisioner role and the boundaries of deploy roles and of workloads.
 *
 * The template is the same for every account, needs no CDK bootstrap there, and can be deployed before the hub. Its
 * parameters say what the account's trail writes to, and whether workloads may delete data.
 */
export class TargetStack extends Stack {
  constructor(scope: Construct, { config }: { readonly config: Config }) {
    super(scope, TARGET_STACK, {
      description: 'Daypass target: lets the hub manage temporary deploy roles in this account',
      synthesizer: new LegacyStackSynthesizer(),
    });
    const trail = new Trail(this, 'Trail');
    const boundary = new Boundary(this, 'Boundary', trail);
    new WorkloadsBoundary(this, 'Workloads', trail);
    const provisioner = new ProvisionerRole(this, 'Provisioner', { config });
    Tags.of(this).add(PROTECTED_TAG, 'true');

    new CfnOutput(this, 'ProvisionerRoleArn', { value: provisioner.roleArn });
    new CfnOutput(this, 'BoundaryArn', { value: boundary.managedPolicyArn });
    new CfnOutput(this, 'DaypassVersion', {
      value: VERSION,
      description: 'The version of Daypass that has deployed this',
    });
  }
}
