import { Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as subscriptions from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { ALARM_TOPIC, DASHBOARD, RUNBOOK, type Task } from '../names.ts';
import type { StateMachine } from './state-machine.ts';
import type { Sweep } from './sweep.ts';
import type { TaskFunction } from './task-function.ts';
import type { TransactionsTable } from './transactions-table.ts';

export interface MonitoringProps {
  readonly config: Config;
  readonly key: kms.IKey;
}

export interface Watched {
  readonly provision: StateMachine;
  readonly renew: StateMachine;
  readonly deprovision: StateMachine;
  readonly sweep: Sweep;
  readonly functions: Record<Task, TaskFunction>;
  readonly table: TransactionsTable;
}

/**
 * Whom it concerns that something went wrong (alarms and their topic), and a dashboard to look at.
 *
 * An alarm is about a state: CloudWatch sends one message when it begins, and none for what comes before it has ended. So the
 * ends that failed for good are told one by one, by the machine itself (`TellOperators`), and the alarm about them is there for
 * when that cannot be. What was refused, and what somebody asked for, is counted and alarms nobody.
 */
export class Monitoring extends Construct {
  readonly topic: sns.Topic;

  constructor(scope: Construct, id: string, props: MonitoringProps) {
    super(scope, id);
    this.topic = this.alarmTopic(props);
  }

  /** Alarms and dashboard for these. The topic comes first, as the machines send to it. */
  watch(watched: Watched): void {
    const { provision, renew, deprovision, sweep } = watched;
    const access = 'A deploy role may still exist; IAM refuses it from its expiry on.';
    const failed = this.ended(deprovision, 'DeprovisionFailed', 'FailedDeprovisionings', 'DeprovisionFailed');
    this.alarm('deprovision-failed', failed, `A deprovisioning failed for good. ${access}`);
    this.alarm('deprovision-timed-out', deprovision.machine.metricTimedOut(), `A deprovisioning timed out. ${access}`);
    this.alarm(
      'deprovision-aborted',
      deprovision.machine.metricAborted(),
      `Somebody stopped a lease or a release. ${access}`,
    );

    const unserved = this.ended(provision, 'Failed', 'FailedProvisionings', 'ProvisionFailed');
    this.alarm('provision-failed', unserved, 'A request that was not denied could not be served.');
    this.alarm(
      'provision-timed-out',
      provision.machine.metricTimedOut(),
      'A provisioning timed out; a sweep cleans up.',
    );

    const unrenewed = this.ended(renew, 'Failed', 'FailedRenewals', 'RenewFailed');
    this.alarm('renew-failed', unrenewed, 'A renewal that was not denied could not be served.');
    this.alarm(
      'renew-timed-out',
      renew.machine.metricTimedOut(),
      'A renewal timed out; the transaction is what it was.',
    );

    this.sweepFailed(sweep);
    this.absence(sweep);

    const refused = this.ended(deprovision, 'Refused', 'RefusedDeprovisionings', 'DeprovisionRefused');
    const overtaken = this.ended(provision, 'Overtaken', 'OvertakenProvisionings', 'ProvisionOvertaken');
    this.dashboard(watched, { failed, refused, unserved, overtaken, unrenewed });
  }

  private alarmTopic({ config, key }: MonitoringProps): sns.Topic {
    const { partition, region, account } = Stack.of(this);
    const topic = new sns.Topic(this, 'Topic', {
      topicName: ALARM_TOPIC,
      displayName: 'Daypass alarms',
      masterKey: key,
      enforceSSL: true,
    });
    // A topic with a policy of its own loses the default one, which would have let this account's alarms publish.
    topic.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AlarmsOfDaypass',
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: {
          StringEquals: { 'aws:SourceAccount': account },
          ArnLike: { 'aws:SourceArn': `arn:${partition}:cloudwatch:${region}:${account}:alarm:daypass-*` },
        },
      }),
    );
    if (config.alarm_email) topic.addSubscription(new subscriptions.EmailSubscription(config.alarm_email));
    return topic;
  }

  /** Goes off at the first occurrence, and ends when a minute had none: only then is it ready for the next one. */
  private alarm(name: string, metric: cloudwatch.Metric, what: string): void {
    this.alarmOf(name, what, {
      metric: metric.with({ statistic: cloudwatch.Stats.SUM, period: Duration.minutes(1) }),
      threshold: 1,
      evaluationPeriods: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
  }

  /** Goes off when two of three sweeps have failed: what one could not end, the next one tries again. */
  private sweepFailed({ stateMachine }: Sweep): void {
    this.alarmOf('sweep-failed', 'Sweeps fail again and again: a transaction that nobody ends could not be ended.', {
      metric: stateMachine.machine.metricFailed({ statistic: cloudwatch.Stats.SUM, period: Duration.minutes(5) }),
      threshold: 1,
      evaluationPeriods: 3,
      datapointsToAlarm: 2,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
  }

  /** Goes off when no sweep has succeeded for half an hour, whatever keeps it from that: also when none is started. */
  private absence({ stateMachine, schedule }: Sweep): void {
    const alarm = this.alarmOf(
      'sweep-missing',
      'No sweep has succeeded for half an hour: what nobody ends stays open.',
      {
        metric: stateMachine.machine.metricSucceeded({ statistic: cloudwatch.Stats.SUM, period: Duration.minutes(5) }),
        threshold: 1,
        evaluationPeriods: 6,
        comparisonOperator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
        treatMissingData: cloudwatch.TreatMissingData.BREACHING,
      },
    );
    // A new schedule fires at once: the alarm of a first deployment finds a sweep, or nearly so.
    alarm.node.addDependency(schedule);
  }

  /** An alarm whose message says where to read what to do. */
  private alarmOf(name: string, what: string, props: cloudwatch.AlarmProps): cloudwatch.Alarm {
    const alarmName = `daypass-${name}`;
    const alarmDescription = `${what} What to do: ${RUNBOOK}#${alarmName}`;
    const alarm = new cloudwatch.Alarm(this, name, { ...props, alarmName, alarmDescription });
    alarm.addAlarmAction(new actions.SnsAction(this.topic));
    return alarm;
  }

  /**
   * Executions that ended in `state`. The metrics of Step Functions cannot tell what failed from what was denied, refused or
   * released, which are Daypass doing its work; the log can.
   */
  private ended({ logGroup }: StateMachine, state: string, id: string, metricName: string): cloudwatch.Metric {
    return logGroup
      .addMetricFilter(id, {
        filterName: `daypass${metricName.replace(/[A-Z]/g, '-$&').toLowerCase()}`,
        metricNamespace: 'Daypass',
        metricName,
        filterPattern: logs.FilterPattern.all(
          logs.FilterPattern.stringValue('$.type', '=', 'FailStateEntered'),
          logs.FilterPattern.stringValue('$.details.name', '=', state),
        ),
      })
      .metric();
  }

  private dashboard(
    { provision, renew, deprovision, sweep, functions, table }: Watched,
    counted: Record<'failed' | 'refused' | 'unserved' | 'overtaken' | 'unrenewed', cloudwatch.Metric>,
  ): void {
    const sum = { statistic: cloudwatch.Stats.SUM };
    const [asked, renewed, leased] = [provision.machine, renew.machine, deprovision.machine];
    const swept = sweep.stateMachine.machine;
    const each = Object.values(functions).map((task) => task.function);
    const graph = (title: string, left: cloudwatch.IMetric[]) => new cloudwatch.GraphWidget({ title, left, width: 12 });

    new cloudwatch.Dashboard(this, 'Dashboard', {
      dashboardName: DASHBOARD,
      widgets: [
        [
          graph('Requests', [
            asked.metricStarted({ label: 'asked' }),
            asked.metricSucceeded({ label: 'provisioned' }),
            asked.metricFailed({ label: 'denied, released or failed' }),
            counted.overtaken.with({ ...sum, label: 'released before they were provisioned' }),
            counted.unserved.with({ ...sum, label: 'failed' }),
          ]),
          graph('Time to a role', [
            asked.metricTime({ statistic: cloudwatch.Stats.p(50), label: 'median' }),
            asked.metricTime({ statistic: cloudwatch.Stats.p(99), label: '99th percentile' }),
          ]),
        ],
        [
          graph('Renewals', [
            renewed.metricStarted({ label: 'asked' }),
            renewed.metricSucceeded({ label: 'renewed' }),
            renewed.metricFailed({ label: 'denied or failed' }),
            counted.unrenewed.with({ ...sum, label: 'failed' }),
          ]),
          graph('Time to new credentials', [
            renewed.metricTime({ statistic: cloudwatch.Stats.p(50), label: 'median' }),
            renewed.metricTime({ statistic: cloudwatch.Stats.p(99), label: '99th percentile' }),
          ]),
        ],
        [
          graph('Leases and releases', [
            leased.metricStarted({ label: 'started' }),
            leased.metricSucceeded({ label: 'deprovisioned' }),
            counted.failed.with({ ...sum, label: 'failed' }),
            counted.refused.with({ ...sum, label: 'refused' }),
            leased.metricTimedOut({ label: 'timed out' }),
            leased.metricAborted({ label: 'aborted' }),
          ]),
          graph('Sweeps', [
            swept.metricSucceeded({ label: 'succeeded' }),
            swept.metricFailed({ label: 'failed' }),
            swept.metricTimedOut({ label: 'timed out' }),
          ]),
        ],
        [
          graph('Transactions table', [
            table.metricConditionalCheckFailedRequests({ ...sum, label: 'lost races' }),
            table.metricUserErrors({ ...sum, label: 'user errors' }),
          ]),
          graph(
            'Task errors',
            each.map((task) => task.metricErrors()),
          ),
        ],
        [
          graph(
            'Task durations (99th percentile)',
            each.map((task) => task.metricDuration({ statistic: cloudwatch.Stats.p(99) })),
          ),
        ],
      ],
    });
  }
}
