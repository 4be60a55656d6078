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
import { ALARM_TOPIC, DASHBOARD, type Task } from '../names.ts';
import type { StateMachine } from './state-machine.ts';
import type { Sweep } from './sweep.ts';
import type { TaskFunction } from './task-function.ts';
import type { TransactionsTable } from './transactions-table.ts';

export interface MonitoringProps {
  readonly config: Config;
  readonly key: kms.IKey;
  readonly provision: StateMachine;
  readonly renew: StateMachine;
  readonly deprovision: StateMachine;
  readonly sweep: Sweep;
  readonly functions: Record<Task, TaskFunction>;
  readonly table: TransactionsTable;
}

/** Whom it concerns that something went wrong (alarms and their topic), and a dashboard to look at. */
export class Monitoring extends Construct {
  readonly topic: sns.Topic;

  constructor(scope: Construct, id: string, props: MonitoringProps) {
    super(scope, id);
    this.topic = this.alarmTopic(props);

    const deprovision = props.deprovision.machine;
    const access = 'A deploy role may still exist; its access ended at its expiry. See the runbook.';
    this.alarm('deprovision-failed', deprovision.metricFailed(), `A deprovisioning failed. ${access}`);
    this.alarm('deprovision-timed-out', deprovision.metricTimedOut(), `A deprovisioning timed out. ${access}`);
    this.alarm('deprovision-aborted', deprovision.metricAborted(), `Someone stopped a lease. ${access}`);

    const provision = props.provision.machine;
    const failures = this.failures(props.provision, 'Provision', 'Provisionings');
    this.alarm('provision-failed', failures, 'A request that was not denied could not be served.');
    this.alarm('provision-timed-out', provision.metricTimedOut(), 'A provisioning timed out; a sweep cleans up.');

    const renew = props.renew.machine;
    const unrenewed = this.failures(props.renew, 'Renew', 'Renewals');
    this.alarm('renew-failed', unrenewed, 'A renewal that was not denied could not be served.');
    this.alarm('renew-timed-out', renew.metricTimedOut(), 'A renewal timed out; the transaction is what it was.');

    const sweep = props.sweep.stateMachine.machine;
    this.alarm('sweep-failed', sweep.metricFailed(), 'A transaction that nobody ends could not be ended.');
    this.absence(props.sweep);

    this.dashboard(props, failures, unrenewed);
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

  /** Goes off on every single occurrence, and is ready for the next one a minute later. */
  private alarm(name: string, metric: cloudwatch.Metric, alarmDescription: string): void {
    const alarm = new cloudwatch.Alarm(this, name, {
      alarmName: `daypass-${name}`,
      alarmDescription,
      metric: metric.with({ statistic: cloudwatch.Stats.SUM, period: Duration.minutes(1) }),
      threshold: 1,
      evaluationPeriods: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new actions.SnsAction(this.topic));
  }

  /** Goes off when no sweep has succeeded for half an hour, whatever keeps it from that: also when none is started. */
  private absence({ stateMachine, schedule }: Sweep): void {
    const alarm = new cloudwatch.Alarm(this, 'sweep-missing', {
      alarmName: 'daypass-sweep-missing',
      alarmDescription: 'No sweep has succeeded for half an hour: what nobody ends stays open. See the runbook.',
      metric: stateMachine.machine.metricSucceeded({ statistic: cloudwatch.Stats.SUM, period: Duration.minutes(5) }),
      threshold: 1,
      evaluationPeriods: 6,
      comparisonOperator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.BREACHING,
    });
    alarm.addAlarmAction(new actions.SnsAction(this.topic));
    // A new schedule fires at once: the alarm of a first deployment finds a sweep, or nearly so.
    alarm.node.addDependency(schedule);
  }

  /**
   * Executions that ended in the state `Failed`. The metric of Step Functions cannot tell them from denials, which are
   * Daypass doing its work; the log can.
   */
  private failures({ logGroup }: StateMachine, name: string, what: string): cloudwatch.Metric {
    return logGroup
      .addMetricFilter(`Failed${what}`, {
        filterName: `daypass-${name.toLowerCase()}-failed`,
        metricNamespace: 'Daypass',
        metricName: `${name}Failed`,
        filterPattern: logs.FilterPattern.all(
          logs.FilterPattern.stringValue('$.type', '=', 'FailStateEntered'),
          logs.FilterPattern.stringValue('$.details.name', '=', 'Failed'),
        ),
      })
      .metric();
  }

  private dashboard(
    { provision, renew, deprovision, sweep, functions, table }: MonitoringProps,
    failures: cloudwatch.Metric,
    unrenewed: cloudwatch.Metric,
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
            asked.metricFailed({ label: 'denied or failed' }),
            failures.with({ ...sum, label: 'failed' }),
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
            unrenewed.with({ ...sum, label: 'failed' }),
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
            leased.metricFailed({ label: 'failed' }),
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
