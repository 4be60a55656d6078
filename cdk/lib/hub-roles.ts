import * as iam from 'aws-cdk-lib/aws-iam';
import { type Task, taskRoleArn } from './names.ts';

/**
 * The execution roles of some of the hub's functions, as seen from another account.
 *
 * A trust policy that named the roles as principals could not be created before they exist, and would stop matching
 * when one is created anew, because IAM stores the role's id. The account with a condition on the role's ARN has
 * neither problem, and lets in the same callers.
 */
export const hubRoles = (hubAccount: string, tasks: readonly Task[]): iam.PrincipalBase =>
  new iam.AccountPrincipal(hubAccount).withConditions({
    ArnEquals: { 'aws:PrincipalArn': tasks.map((task) => taskRoleArn(task, hubAccount)) },
  });
