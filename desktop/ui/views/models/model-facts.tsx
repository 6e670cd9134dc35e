// What a model is: digest, licence, files, inputs and outputs, what it does in memory, and which nodes have it.
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { ModelAnswer, PsAnswer, VerifyAnswer } from '../../../../protocol/api/control.ts';
import { Card } from '../../components/card.tsx';
import { CopyButton } from '../../components/copy-button.tsx';
import { Foreign, NodeName } from '../../components/node-name.tsx';
import { Table } from '../../components/table.tsx';
import { text } from '../../text/en.ts';
import { bytes, count, percent, safeName, safeText, shortId } from '../../text/format.ts';
import { type MeshRow, taskWord } from './model-rows.ts';
import { Progress } from './progress.tsx';

const { page } = text.models;

type Fact = readonly [string, ReactNode];

export function Facts({ facts }: { readonly facts: readonly Fact[] }): ReactNode {
  return (
    <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-6 gap-y-1.5 text-sm">
      {facts.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-muted">{name}</dt>
          <dd className="tabular min-w-0 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export interface ModelFactsProps {
  readonly model: ModelAnswer;
  readonly loaded: PsAnswer['models'];
  readonly where: MeshRow | undefined;
}

export function ModelFacts({ model, loaded, where }: ModelFactsProps): ReactNode {
  const memory = loaded.find(({ digest, part }) => digest === model.digest && part === undefined);
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
      <div className="flex min-w-0 flex-col gap-4">
        <Card title={page.facts}>
          <Facts facts={factsOf(model)} />
        </Card>
        <Card title={page.files} note={bytes(model.sizeBytes)} flush>
          <Table
            label={page.files}
            rows={model.files}
            rowKey={({ path }) => path}
            columns={[
              { key: 'path', title: page.path, grow: true, cell: ({ path }) => <Ellipsed>{path}</Ellipsed> },
              {
                key: 'size',
                title: text.models.columns.size,
                align: 'end',
                cell: ({ sizeBytes }) => bytes(sizeBytes),
              },
              {
                key: 'sha256',
                title: page.sha256,
                wide: true,
                cell: ({ sha256 }) => <code className="font-mono text-muted text-xs">{sha256.slice(0, 12)}…</code>,
              },
            ]}
          />
        </Card>
      </div>
      <div className="flex min-w-0 flex-col gap-4">
        {where !== undefined && <Where row={where} />}
        {memory !== undefined && memory.state === 'loaded' && (
          <Card title={page.memory}>
            <Facts facts={memoryFacts(memory)} />
          </Card>
        )}
        <Card title={page.inputs} flush>
          <Ports label={page.inputs} ports={model.inputs} />
        </Card>
        <Card title={page.outputs} flush>
          <Ports label={page.outputs} ports={model.outputs} />
        </Card>
      </div>
    </div>
  );
}

/** Nodes that have it, and how much of it. */
export function Where({ row }: { readonly row: MeshRow }): ReactNode {
  return (
    <Card title={page.where} flush>
      <ul className="divide-y divide-line text-sm">
        {row.nodes.map(({ node, name, self, share, loaded }) => (
          <li key={node} className="flex min-h-10 items-center gap-3 px-4 py-1.5">
            <NodeName node={node} name={name} self={self} className="grow" />
            {share < 1 ? (
              <>
                <Progress label={text.models.held(percent(share))} fraction={share} className="w-16" />
                <span className="tabular text-muted text-xs">{text.models.held(percent(share))}</span>
              </>
            ) : (
              <span className={loaded ? 'text-good text-xs' : 'text-muted text-xs'}>
                {loaded ? text.models.states.loaded : text.models.states.disk}
              </span>
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}

function factsOf(model: ModelAnswer): readonly Fact[] {
  const { id, aliases, digest, licence, task, sizeBytes, contextLength, dimensions, decoder, decoderReason } = model;
  return [
    [page.id, <Foreign key="id">{id}</Foreign>],
    ...(aliases.length === 0 ? [] : [[page.shortNames, aliases.map(safeName).join(', ')] as Fact]),
    [page.task, taskWord(task)],
    [page.size, `${bytes(sizeBytes)}${model.bundled ? `, ${page.bundled}` : ''}`],
    [page.licence, licence === undefined || licence === 'LicenseRef-unknown' ? page.noLicence : safeName(licence)],
    ...(contextLength > 0 ? [[page.context, page.contextOf(count(contextLength))] as Fact] : []),
    ...(dimensions > 0 ? [[page.dimensions, count(dimensions)] as Fact] : []),
    ...(decoder === undefined
      ? []
      : [
          [
            page.decoder,
            `${page.decoders[decoder]}${decoderReason === undefined ? '' : ` (${safeText(decoderReason)})`}`,
          ] as Fact,
        ]),
    [page.offered, model.offered ? page.yes : page.no],
    [page.signers, <Signers key="signers" digest={digest} />],
    [
      page.digest,
      <span key="digest" className="flex min-w-0 items-center gap-1">
        <code className="min-w-0 truncate font-mono text-xs">{digest}</code>
        <CopyButton value={digest} label={page.copyDigest} />
      </span>,
    ],
  ];
}

/** What the last check of the files has told, where there was one. */
function Signers({ digest }: { readonly digest: string }): ReactNode {
  const { data } = useQuery<VerifyAnswer['models'][number]['signers']>({
    queryKey: ['signers', digest],
    enabled: false,
  });
  if (data === undefined) return <span className="text-muted">{page.signersUnknown}</span>;
  if (data.length === 0) return text.models.verify.unsigned;
  return data.map(({ key, name, standing }) => (
    <span key={key} className="block">
      {name === undefined ? shortId(key) : safeName(name)}{' '}
      <span className="text-faint text-xs">{page.standings[standing]}</span>
    </span>
  ));
}

function memoryFacts({ provider, residentBytes, generation, fallbackReason }: PsAnswer['models'][number]): Fact[] {
  return [
    [text.models.columns.memory, bytes(residentBytes)],
    [page.provider, fallbackReason === undefined ? provider : `${provider} (${safeText(fallbackReason)})`],
    ...(generation === undefined
      ? []
      : ([
          [
            page.sequences,
            page.sequencesOf(count(generation.sequences), count(generation.sequencesMax), count(generation.waiting)),
          ],
          [page.rate, page.tokensPerS(count(generation.tokensPerS))],
          [
            page.prefix,
            generation.promptTokens === 0 ? '–' : percent(generation.cachedTokens / generation.promptTokens),
          ],
        ] satisfies Fact[])),
  ];
}

function Ports({ label, ports }: { readonly label: string; readonly ports: ModelAnswer['inputs'] }): ReactNode {
  return (
    <div className="max-h-80 overflow-y-auto">
      <Table
        label={label}
        rows={ports}
        rowKey={({ name }) => name}
        columns={[
          { key: 'name', title: page.name, grow: true, cell: ({ name }) => <Ellipsed>{name}</Ellipsed> },
          { key: 'type', title: page.type, cell: ({ type }) => <span className="text-muted">{type}</span> },
          {
            key: 'shape',
            title: page.shape,
            align: 'end',
            cell: ({ dims }) =>
              dims.length === 0 ? page.scalar : dims.map((dim) => safeName(String(dim))).join(' × '),
          },
        ]}
      />
    </div>
  );
}

const Ellipsed = ({ children }: { readonly children: string }): ReactNode => (
  <span className="block truncate" title={safeText(children)}>
    <Foreign>{children}</Foreign>
  </span>
);
