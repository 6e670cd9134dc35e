// What a node is and does, on one page: its load as it changes, its hardware, where it is.
import type { ReactNode } from 'react';
import type { StatusAnswer } from '../../../../protocol/api/control.ts';
import { Card } from '../../components/card.tsx';
import { CopyButton } from '../../components/copy-button.tsx';
import { useAnswer } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { duration, memory, rate, safeName, safeText } from '../../text/format.ts';
import { type Fact, Facts } from './facts.tsx';
import { accelerators, ageOf } from './list-model.ts';
import { LiveLoad } from './live-load.tsx';
import type { Peer } from './node-page.tsx';

export interface AtGlanceProps {
  readonly status: StatusAnswer;
  /** Undefined: the node behind the page. */
  readonly peer: Peer | undefined;
  /** The node itself may be asked. */
  readonly canAsk: boolean;
}

export function AtGlance({ status, peer, canAsk }: AtGlanceProps): ReactNode {
  const asked = useAnswer<StatusAnswer>('status', 'status', {
    node: peer?.node,
    enabled: canAsk && peer !== undefined,
  });
  const own = peer === undefined ? status : asked.data;
  const hardware = peer?.hardware ?? own?.hardware;
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
      <div className="flex min-w-0 flex-col gap-4">
        <Card title={text.nodes.live}>
          {peer?.state === 'gone' ? (
            <p className="text-muted text-sm">{text.nodes.liveGone}</p>
          ) : (
            <LiveLoad node={peer?.node} />
          )}
        </Card>
        <Card title={text.nodes.facts}>
          <Facts facts={[...nodeFacts(peer?.node ?? status.node, own), versionFact(peer?.version, status.version)]} />
        </Card>
      </div>
      <div className="flex min-w-0 flex-col gap-4">
        <Card title={text.nodes.hardware}>
          {hardware === undefined ? (
            <p className="text-muted text-sm">{text.nodes.hardwareUnknown}</p>
          ) : (
            <Facts facts={hardwareFacts(hardware)} />
          )}
        </Card>
        {peer !== undefined && peer.state !== 'gone' && (
          <Card title={text.nodes.linkFacts}>
            <Facts facts={linkFacts(peer.link)} />
          </Card>
        )}
      </div>
    </div>
  );
}

function hardwareFacts(hardware: StatusAnswer['hardware']): readonly Fact[] {
  const { cpuModel, cpuCount, memoryBytes, platform, arch } = hardware;
  const devices = accelerators(hardware);
  return [
    { label: text.nodes.processor, value: `${safeName(cpuModel)}, ${text.nodes.cores(cpuCount)}` },
    { label: text.nodes.memory, value: <span className="tabular">{memory(memoryBytes)}</span> },
    {
      label: text.nodes.accelerators,
      value:
        devices.length === 0 ? (
          <span className="text-muted">{text.nodes.noAccelerator}</span>
        ) : (
          <ul className="flex flex-col gap-1">
            {devices.map((device, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two of a kind have one name, and stay in their place
              <li key={at}>
                {safeName(device.name)}
                <span className="block text-faint text-xs">
                  {[
                    text.nodes.device(device.kind),
                    ...(device.memoryBytes > 0 ? [memory(device.memoryBytes)] : []),
                  ].join(', ')}
                </span>
              </li>
            ))}
          </ul>
        ),
    },
    { label: text.nodes.system, value: safeName(`${platform} ${arch}`) },
  ];
}

function linkFacts(link: Peer['link']): readonly Fact[] {
  const unknown = <span className="text-muted">{text.nodes.notMeasured}</span>;
  return [
    {
      label: text.nodes.rtt,
      value:
        link?.rttMs === undefined ? (
          unknown
        ) : (
          <span className="tabular">
            {duration(link.rttMs)}
            {link.rttFloorMs !== undefined && (
              <span className="text-faint text-xs"> {text.nodes.rttFloor(duration(link.rttFloorMs))}</span>
            )}
          </span>
        ),
    },
    {
      label: text.nodes.goodput,
      value:
        link?.goodputBytesPerSecond === undefined ? (
          unknown
        ) : (
          <span className="tabular">{rate(link.goodputBytesPerSecond)}</span>
        ),
    },
    { label: text.nodes.path, value: link?.path === undefined ? unknown : (text.nodes.paths[link.path] ?? link.path) },
  ];
}

/** A version beside another one, with what that means. @param theirs undefined: it is the same node */
function versionFact(theirs: string | undefined, ours: string): Fact {
  const version = safeName(theirs ?? ours);
  const age = theirs === undefined ? 'same' : ageOf(theirs, ours);
  const tip = age === 'older' ? text.nodes.olderTip : age === 'newer' ? text.nodes.newerTip : undefined;
  return {
    label: text.nodes.version,
    value: (
      <>
        <span className="tabular">{theirs === '' ? text.common.unknown : version}</span>
        {tip !== undefined && <p className="text-muted text-xs">{tip(version, ours)}</p>}
      </>
    ),
  };
}

function nodeFacts(node: string, own: StatusAnswer | undefined): readonly (Fact | undefined)[] {
  const long = 'font-mono text-xs break-all';
  return [
    {
      label: text.nodes.id,
      value: (
        <span className="flex items-start gap-1">
          <code className={long}>{safeText(node)}</code>
          <span className="-my-1">
            <CopyButton value={node} label={text.nodes.copyId} />
          </span>
        </span>
      ),
    },
    ...(own === undefined
      ? []
      : [
          { label: text.nodes.uptime, value: <span className="tabular">{duration(own.uptimeSeconds * 1_000)}</span> },
          { label: text.nodes.api, value: <code className={long}>{safeText(own.api)}</code> },
          { label: text.nodes.home, value: <code className={long}>{safeText(own.home)}</code> },
          {
            label: text.nodes.address,
            value: (
              <ul className="flex flex-col gap-0.5">
                {own.addresses.map((address) => (
                  <li key={address}>
                    <code className={long}>{safeText(address)}</code>
                  </li>
                ))}
              </ul>
            ),
          },
        ]),
  ];
}
