// What the three lists of models show: offers, files on disks, memory and the catalogue joined into rows. Pure.
import type { CatalogueAnswer, MeshModelsAnswer, ModelsAnswer, PsAnswer } from '../../../../protocol/api/control.ts';
import { text } from '../../text/en.ts';
import { shortModel } from '../../text/format.ts';

type MeshModel = MeshModelsAnswer['models'][number];
type Loaded = PsAnswer['models'][number];
type Offer = ModelsAnswer['models'][number];

/** How far a model is on its way into memory, as its last event told. */
export interface Loading {
  readonly phase: string;
  /** 0 to 1, of the phase. */
  readonly fraction: number | undefined;
}

/** A model of this node's disk. */
export interface HereRow {
  readonly id: string;
  readonly digest: string;
  /** Behind `#/models/`: the id, or the digest where several forms of the id are here. */
  readonly address: string;
  readonly task: string | undefined;
  readonly form: string | undefined;
  readonly sizeBytes: number;
  readonly state: 'disk' | 'partial' | 'loading' | 'loaded' | 'quarantined';
  readonly reason: string | undefined;
  readonly loading: Loading | undefined;
  readonly pinned: boolean;
  readonly residentBytes: number;
  readonly requestsInFlight: number;
  readonly idleUntilMs: number | undefined;
  /** Other nodes that have all of it. */
  readonly elsewhere: number;
}

/** A model of any node's disk. */
export interface MeshRow {
  readonly id: string;
  readonly digest: string;
  readonly address: string;
  readonly task: string | undefined;
  readonly form: string | undefined;
  readonly sizeBytes: number;
  /** What brings this form of it. */
  readonly pullName: string;
  /** Here first, then whoever has it in memory, then by share. */
  readonly nodes: readonly {
    readonly node: string;
    readonly name: string;
    readonly self: boolean;
    /** 0 to 1. */
    readonly share: number;
    readonly loaded: boolean;
  }[];
  /** All of it is on this node. */
  readonly here: boolean;
}

export interface CatalogueRow {
  readonly name: string;
  readonly id: string;
  readonly task: string;
  readonly description: string;
  readonly here: boolean;
  /** Other nodes that have all of it. */
  readonly nodes: number;
}

export interface Known {
  readonly mesh: MeshModelsAnswer['models'];
  readonly offers: ModelsAnswer['models'];
  readonly loaded: PsAnswer['models'];
  /** By hub id. */
  readonly loading: ReadonlyMap<string, Loading>;
}

/** In words that people use. */
export const taskWord = (task: string): string => text.models.tasks[task] ?? task;

export function hereRows({ mesh, offers, loaded, loading }: Known): HereRow[] {
  const whole = new Map(loaded.filter(({ part }) => part === undefined).map((one) => [one.digest, one]));
  return addressed(mesh.filter((model) => heldHere(model) > 0)).map(({ model, address }): HereRow => {
    const { id, digest, sizeBytes } = model;
    const memory = whole.get(digest);
    const phase = loading.get(id);
    return {
      id,
      digest,
      address,
      ...offered(offers, model),
      sizeBytes,
      state: stateOf(model, memory, phase),
      reason: memory?.reason,
      loading: phase,
      pinned: memory?.pinned === true,
      residentBytes: memory?.residentBytes ?? 0,
      requestsInFlight: memory?.requestsInFlight ?? 0,
      idleUntilMs: memory?.idleUntilMs,
      elsewhere: wholeElsewhere(model),
    };
  });
}

export function meshRows({ mesh, offers, loaded }: Known): MeshRow[] {
  const inMemory = new Set(loaded.filter(({ state, part }) => state === 'loaded' && part === undefined).map(key));
  return addressed(mesh).map(({ model, address }): MeshRow => {
    const nodes = model.nodes.map(({ node, name, self, heldBytes, state }) => ({
      node,
      name,
      self,
      share: model.sizeBytes > 0 ? Math.min(1, heldBytes / model.sizeBytes) : 1,
      loaded: self ? inMemory.has(model.digest) : state === 'loaded',
    }));
    nodes.sort((a, b) => Number(b.self) - Number(a.self) || Number(b.loaded) - Number(a.loaded) || b.share - a.share);
    const { task, form } = offered(offers, model);
    return {
      id: model.id,
      digest: model.digest,
      address,
      task,
      form,
      sizeBytes: model.sizeBytes,
      pullName: address === model.id || form === undefined ? model.id : `${model.id}:${form}`,
      nodes,
      here: heldHere(model) >= model.sizeBytes,
    };
  });
}

export function catalogueRows(catalogue: CatalogueAnswer['models'], mesh: Known['mesh']): CatalogueRow[] {
  return catalogue.map((entry) => {
    const forms = mesh.filter(({ id }) => id.toLowerCase() === entry.id.toLowerCase());
    return {
      ...entry,
      here: forms.some((model) => heldHere(model) >= model.sizeBytes && heldHere(model) > 0),
      nodes: Math.max(0, ...forms.map(wholeElsewhere)),
    };
  });
}

/** Rows in which what was typed occurs, anywhere in their names. */
export function found<Row extends { readonly id: string; readonly name?: string }>(
  rows: readonly Row[],
  wanted: string,
): readonly Row[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter(({ id, name = '' }) => words.every((word) => `${id} ${name}`.toLowerCase().includes(word)));
}

/** The part of an id before its name: `owner` of `owner/name`. */
export const ownerOf = (id: string): string => id.slice(0, Math.max(0, id.length - shortModel(id).length - 1));

/** Address of a model's page, behind `#`. The router decodes what it finds as `decodeURI` does, which leaves these two. */
export const modelHref = (address: string): string =>
  `/models/${encodeURI(address).replaceAll('#', '%23').replaceAll('?', '%3F')}`;

/** What stands behind `/models/`, as {@link modelHref} and the tabs of a page wrote it. */
export function placeOf(rest: string): { readonly address: string; readonly tab: string | undefined } {
  const [address = '', tab] = rest.split('#');
  return { address: address.replaceAll('%23', '#').replaceAll('%3F', '?'), tab };
}

const key = ({ digest }: Loaded): string => digest;

function heldHere({ nodes }: MeshModel): number {
  return nodes.find(({ self }) => self)?.heldBytes ?? 0;
}

function wholeElsewhere({ nodes, sizeBytes }: MeshModel): number {
  return nodes.filter(({ self, heldBytes }) => !self && heldBytes >= sizeBytes).length;
}

function stateOf(model: MeshModel, memory: Loaded | undefined, phase: Loading | undefined): HereRow['state'] {
  if (memory?.state === 'quarantined' || memory?.state === 'loaded') return memory.state;
  if (memory?.state === 'loading' || phase !== undefined) return 'loading';
  return heldHere(model) >= model.sizeBytes ? 'disk' : 'partial';
}

/** Task and form by the offers; files that nobody offers have none. */
function offered(offers: readonly Offer[], { id, sizeBytes }: MeshModel): Pick<HereRow, 'task' | 'form'> {
  const offer = offers.find((one) => one.id === id);
  const form = offer?.forms?.find((one) => one.sizeBytes === sizeBytes)?.form;
  return { task: offer?.task, form: form ?? (offer?.forms === undefined ? offer?.precision : undefined) };
}

function addressed(models: readonly MeshModel[]): { readonly model: MeshModel; readonly address: string }[] {
  const forms = Map.groupBy(models, ({ id }) => id);
  return models.map((model) => ({
    model,
    address: (forms.get(model.id)?.length ?? 0) > 1 ? model.digest : model.id,
  }));
}
