/**
 * What makes a CDK app deployable through Daypass. Copy this file beside the app, and say `new DaypassApp()` where the app
 * says `new App()`.
 */
import { type AppProps, App, Aspects, CfnResource, CliCredentialsStackSynthesizer, type IAspect } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Types of IAM that have a path. A deploy role may create them below its own path only. */
const WITH_PATH = ['AWS::IAM::InstanceProfile', 'AWS::IAM::ManagedPolicy', 'AWS::IAM::Role'];

/** A CDK app that deploys with the credentials in the environment, and whose roles a deploy role may create. */
export class DaypassApp extends App {
  constructor(props: AppProps = {}) {
    // CDK's default would assume the roles that `cdk bootstrap` made, one of which is an administrator: a deploy role may
    // not. This synthesizer deploys with the rights of the deploy role.
    super({ defaultStackSynthesizer: new CliCredentialsStackSynthesizer(), ...props });
    Aspects.of(this).add(new OwnRoles());
  }
}

/** Gives every role, also those that CDK makes by itself, the path and the boundary that a deploy role has to give. */
export class OwnRoles implements IAspect {
  visit(node: IConstruct): void {
    if (!CfnResource.isCfnResource(node) || !WITH_PATH.includes(node.cfnResourceType)) return;
    node.addPropertyOverride('Path', '/deployed-by-daypass/');
    if (node.cfnResourceType !== 'AWS::IAM::Role') return;
    node.addPropertyOverride('PermissionsBoundary', {
      'Fn::Sub': 'arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/daypass-workloads',
    });
  }
}
