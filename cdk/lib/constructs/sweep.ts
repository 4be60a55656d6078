import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Schedule, ScheduleExpression, ScheduleGroup, ScheduleTargetInput } from 'aws-cdk-lib/aws-scheduler';
import { StepFunctionsStartExecution } from 'aws-cdk-lib/aws-scheduler-targets';
import { type IStateMachine, StateMachineType } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { OPEN_LEASES_INDEX, SCHEDULE_GROUP, SWEEP_MACHINE, SWEEP_SCHEDULE } from '../names.ts';
import { StateMachine } from './state-machine.ts';
import type { TransactionsTable } from './transactions-table.ts';

export interface SweepProps {
  readonly config: Config;
  readonly key: kms.IKey;
  readonly table: TransactionsTable;
  readonly deprovision: IStateMachine;
  /** Path of the ASL file. */
  readonly definition: string;
}

/** How often it looks. An execution ends itself before the next one begins. */
const EVERY = Duration.minutes(5);

/** The machine that ends what nobody else ends, and the schedule that starts it. */
export class Sweep extends Construct {
  readonly stateMachine: StateMachine;
  readonly schedule: Schedule;

  constructor(scope: Construct, id: string, { config, key, table, deprovision, definition }: SweepProps) {
    super(scope, id);
    this.stateMachine = new StateMachine(this, 'Sweep', {
      name: SWEEP_MACHINE,
      // Its history is what the operators read: statemachine/README.md has the price.
      type: StateMachineType.STANDARD,
      definition,
      starts: { deprovision },
      searches: {
        transactions: {
          table,
          index: OPEN_LEASES_INDEX,
          attributes: [
            'transaction_id',
            'open_lease',
            'expires_at',
            'status',
            'requested_at',
            'ending_since',
            'role_may_exist',
            'deprovisioning_transaction_id',
          ],
        },
      },
      config,
      key,
    });
    const { machine } = this.stateMachine;

    // Scheduler names the group of a schedule, not the schedule, to the roles that it assumes.
    const group = new ScheduleGroup(this, 'Group', {
      scheduleGroupName: SCHEDULE_GROUP,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new iam.Role(this, 'ScheduleRole', {
      roleName: SWEEP_SCHEDULE,
      description: `Lets EventBridge Scheduler start the state machine ${SWEEP_MACHINE}`,
      assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com', {
        conditions: {
          StringEquals: { 'aws:SourceAccount': Stack.of(this).account, 'aws:SourceArn': group.scheduleGroupArn },
        },
      }),
      inlinePolicies: {
        sweep: new iam.PolicyDocument({
          statements: [
            new iam.PolicyStatement({
              sid: 'StartSweep',
              actions: ['states:StartExecution'],
              resources: [machine.stateMachineArn],
            }),
          ],
        }),
      },
    });
    this.schedule = new Schedule(this, 'Schedule', {
      scheduleName: SWEEP_SCHEDULE,
      scheduleGroup: group,
      description: 'Ends the transactions of Daypass that nobody else ends',
      schedule: ScheduleExpression.rate(EVERY),
      target: new StepFunctionsStartExecution(machine, {
        role: role.withoutPolicyUpdates(),
        input: ScheduleTargetInput.fromObject({}),
        // A start that comes too late is the next one's.
        maxEventAge: EVERY,
        retryAttempts: 3,
      }),
    });
  }
}
