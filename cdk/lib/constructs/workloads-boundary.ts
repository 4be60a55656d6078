import { CfnCondition, CfnParameter, Fn } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { WORKLOADS_POLICY } from '../names.ts';
import {
  acknowledgeWidth,
  CREDENTIALS,
  deployed,
  IDENTITY,
  RECORDS,
  sharedDenials,
  WITNESSES,
  WORKLOADS_ARN,
} from './boundary.ts';
import type { Trail } from './trail.ts';

/**
 * The permissions boundary of the roles that deployments create: of functions, tasks, machines, custom resources.
 *
 * A persona that creates a role can run what it likes with it. So the role must not do what the persona is denied. This
 * boundary is that of deployments without IAM and CloudFormation, and denies what the personas of `personas.json` are
 * denied, in production as well. `make check-escalation` compares both.
 */
export class WorkloadsBoundary extends Construct {
  private readonly deleteData: CfnParameter;

  constructor(scope: Construct, id: string, trail: Trail) {
    super(scope, id);
    this.deleteData = deleteDataParameter(this);
    const policy = new iam.ManagedPolicy(this, 'Policy', {
      managedPolicyName: WORKLOADS_POLICY,
      description: 'Upper limit of every role that a deployment through Daypass creates',
      document: new iam.PolicyDocument({ statements: this.statements(trail) }),
    });
    acknowledgeWidth(policy, 'what deployments give to their roles');
  }

  private statements(trail: Trail): iam.PolicyStatement[] {
    return [
      new iam.PolicyStatement({
        sid: 'Work',
        notActions: [...IDENTITY, ...WITNESSES.map((service) => `${service}:*`), ...DEPLOYING, ...NETWORKS],
        resources: ['*'],
      }),
      // A task or a machine that a function starts runs with a role of the same deployment.
      new iam.PolicyStatement({ sid: 'HandOverOwnRoles', actions: ['iam:PassRole'], resources: [deployed('role')] }),
      ...sharedDenials(trail, [deployed('role')]),
      new iam.PolicyStatement({
        effect: iam.Effect.DENY,
        sid: 'NotWhatIsOthers',
        actions: [
          ...CREDENTIALS,
          // The trail is withheld above. IAM counts characters.
          ...RECORDS.filter((action) => !action.startsWith('cloudtrail:')),
          ...CONNECTIONS,
          ...SHELLS,
        ],
        resources: ['*'],
      }),
      new iam.PolicyStatement({
        effect: iam.Effect.DENY,
        sid: 'NotOthersSecrets',
        actions: ['secretsmanager:*'],
        resources: ['containers', 'network'].map((owner) => `arn:*:secretsmanager:*:*:secret:${owner}/*`),
      }),
      new iam.PolicyStatement({
        effect: iam.Effect.DENY,
        sid: 'DataStays',
        actions: DELETIONS,
        resources: [this.unlessDeleted()],
      }),
    ];
  }

  /** Everything where data stays; where it may be deleted, what the actions of the statement are never about. */
  private unlessDeleted(): string {
    const deletes = new CfnCondition(this, 'Deletes', {
      expression: Fn.conditionEquals(this.deleteData.valueAsString, 'yes'),
    });
    deletes.overrideLogicalId('WorkloadsMayDeleteData');
    return Fn.conditionIf('WorkloadsMayDeleteData', WORKLOADS_ARN, '*').toString();
  }
}

/** Whether workloads may delete data, as a parameter of a stack. */
export function deleteDataParameter(scope: Construct): CfnParameter {
  const parameter = new CfnParameter(scope, 'DeleteData', {
    type: 'String',
    default: 'no',
    allowedValues: ['no', 'yes'],
    description:
      'Whether the roles that deployments create may delete data: yes in accounts whose data can be made again, such ' +
      'as for buckets that CDK empties when a stack is deleted',
  });
  parameter.overrideLogicalId('WorkloadsDeleteData');
  return parameter;
}

/** A workload deploys nothing: a stack may have a role of others. */
const DEPLOYING = ['cloudformation:*'];

/** Services that connect networks with others: the persona Network's. */
const NETWORKS = ['directconnect:*', 'networkmanager:*', 'route53domains:*'];

const CONNECTIONS = [
  'ec2:AcceptTransitGateway*',
  'ec2:AcceptVpc*',
  'ec2:AttachVpnGateway',
  'ec2:CreateClientVpn*',
  'ec2:CreateCustomerGateway',
  'ec2:CreateTransitGateway*',
  'ec2:CreateVpcPeeringConnection',
  'ec2:CreateVpn*',
  'ec2:DeleteTransitGateway*',
  'ec2:DeleteVpn*',
  'ec2:ModifyTransitGateway*',
  'ec2:ModifyVpn*',
  'gamelift:CreateVpcPeering*',
  'lightsail:PeerVpc',
  'ram:Accept*',
  'route53:AssociateVPC*',
  'vpc-lattice:CreateServiceNetwork*Association',
];

const SHELLS = [
  'ec2-instance-connect:*',
  'ecs:ExecuteCommand',
  'eks:AssociateAccessPolicy',
  'eks:CreateAccessEntry',
  'eks:UpdateAccessEntry',
  'ssm:*MaintenanceWindow*',
  'ssm:CreateAssociation*',
  'ssm:ResumeSession',
  'ssm:SendCommand',
  'ssm:StartA*',
  'ssm:StartChangeRequest*',
  'ssm:StartSession',
  'ssm:UpdateAssociation',
];

const DELETIONS = [
  'backup:DeleteBackupVault',
  'backup:DeleteRecoveryPoint',
  'cassandra:Drop*',
  'docdb-elastic:Delete*',
  'dsql:Delete*',
  'dynamodb:DeleteBackup',
  'dynamodb:DeleteTable',
  'ec2:DeleteSnapshot',
  'ec2:DeleteVolume',
  'elasticache:DeleteSnapshot',
  'elasticfilesystem:DeleteFileSystem',
  'es:Delete*Domain',
  'fsx:Delete*',
  'glue:BatchDeleteTable*',
  'glue:DeleteDatabase',
  'glue:DeleteTable*',
  'kms:DeleteImported*',
  'kms:DisableKey',
  'kms:ScheduleKeyDeletion',
  'logs:DeleteLogGroup',
  'logs:DeleteLogStream',
  'memorydb:DeleteCluster',
  'memorydb:DeleteSnapshot',
  'rds:DeleteDBCluster*',
  'rds:DeleteDBInstance*',
  'rds:DeleteDBSnapshot',
  'redshift-serverless:Delete*',
  'redshift:DeleteCluster*',
  's3:DeleteBucket',
  's3:DeleteObjectVersion',
  's3tables:Delete*',
  'secretsmanager:DeleteSecret',
  'timestream:Delete*',
];
