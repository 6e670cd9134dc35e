// The node's answers, as hooks. Each is read once and then kept fresh by events (freshness.ts): views take them and never ask again.
// `useX({ node })` asks another node of the mesh through this one, where that can be asked.
import { type UseQueryResult, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';
import type {
  ConfigAnswer,
  DoctorAnswer,
  MembersAnswer,
  MeshModelsAnswer,
  ModelAnswer,
  ModelsAnswer,
  PeersAnswer,
  PsAnswer,
  RequestAnswer,
  RequestsAnswer,
  SharingAnswer,
  StatusAnswer,
  TransfersAnswer,
} from '../../../protocol/api/control.ts';
import { shortId } from '../text/format.ts';
import { type ApiError, api } from './client.ts';
import type { HistoryAnswer, Pulse } from './contract.ts';
import { addHistory, usePulses } from './events.ts';
import type { QueryName } from './freshness.ts';
import { REQUESTS_LISTED_MAX } from './limits.ts';

/** Which node is asked. */
export interface Asked {
  /** Node id of another node of the mesh. @default the node behind this page */
  readonly node?: string | undefined;
}

/** What hooks of answers give. */
export type Answered<T> = UseQueryResult<T, ApiError>;

/** The path of an endpoint at this node, or at another one through it. */
export function nodePath(path: string, node?: string): string {
  return node === undefined ? `/api/v1/${path}` : `/api/v1/nodes/${encodeURIComponent(node)}/${path}`;
}

/** Keys of another node's answers begin with `node` and its id, so that events about it find them. */
export function queryKey(name: QueryName, node?: string, ...rest: readonly string[]): readonly string[] {
  return node === undefined ? [name, ...rest] : ['node', node, name, ...rest];
}

/** Reads an endpoint that only one view needs. @param path behind `/api/v1/` */
export function useAnswer<T>(
  name: QueryName,
  path: string,
  { node, key = [], enabled = true }: Asked & { readonly key?: readonly string[]; readonly enabled?: boolean } = {},
): Answered<T> {
  return useQuery<T, ApiError>({
    queryKey: queryKey(name, node, ...key),
    queryFn: ({ signal }) => api.get<T>(nodePath(path, node), { signal }),
    enabled,
  });
}

export const useStatus = (asked?: Asked): Answered<StatusAnswer> => useAnswer('status', 'status', asked);
/** Whether this node computes for others. Older nodes don't say. */
export const useSharing = (): Answered<SharingAnswer> => useAnswer('sharing', 'sharing');
export const usePeers = (): Answered<PeersAnswer> => useAnswer('peers', 'peers');
export const useMembers = (): Answered<MembersAnswer> => useAnswer('members', 'members');
/** What the mesh can run, and where; of another node, what is installed there. */
export const useModels = (): Answered<ModelsAnswer> => useAnswer('models', 'models');
export const useMeshModels = (): Answered<MeshModelsAnswer> => useAnswer('mesh-models', 'models/mesh');
/** One installed model of this node. */
export const useModel = (name: string): Answered<ModelAnswer> =>
  useAnswer('model', `models/${encodeURIComponent(name)}`, { key: [name], enabled: name !== '' });
export const usePs = (asked?: Asked): Answered<PsAnswer> => useAnswer('ps', 'ps', asked);
export const useTransfers = (asked?: Asked): Answered<TransfersAnswer> => useAnswer('transfers', 'transfers', asked);
export const useConfig = (asked?: Asked): Answered<ConfigAnswer> => useAnswer('config', 'config', asked);
export const useRequests = (asked?: Asked): Answered<RequestsAnswer> =>
  useAnswer('requests', `requests?limit=${REQUESTS_LISTED_MAX}`, asked);
export const useRequest = (id: string, asked?: Asked): Answered<RequestAnswer> =>
  useAnswer('request', `requests/${encodeURIComponent(id)}`, { ...asked, key: [id], enabled: id !== '' });
/** Runs when it is asked for: it may take 20 s. */
export const useDoctor = (asked?: Asked & { readonly enabled?: boolean }): Answered<DoctorAnswer> =>
  useAnswer('doctor', 'doctor', asked);

/** The node's pulses: those that it remembers, and behind them those that come. Oldest first. */
export function useHistory(): { readonly pulses: readonly Pulse[]; readonly query: Answered<HistoryAnswer> } {
  const query = useAnswer<HistoryAnswer>('history', 'history');
  const pulses = usePulses();
  const { data } = query;
  useEffect(() => {
    if (data !== undefined) addHistory(data.pulses);
  }, [data]);
  return { pulses, query };
}

/** Names of nodes wherever only their ids are told. */
export interface NodeNames {
  /** Node id of the node behind this page, once it is known. */
  readonly self: string | undefined;
  /** The end of the id where no name is known, such as that of a member that has left. */
  nameOf(node: string): string;
}

/** Names of this node and of all members. */
export function useNodeNames(): NodeNames {
  const { data: status } = useStatus();
  const { data: members } = useMembers();
  return useMemo(() => {
    const names = new Map(members?.members.map(({ node, name }) => [node, name]));
    if (status !== undefined) names.set(status.node, status.name);
    return { self: status?.node, nameOf: (node) => names.get(node) ?? shortId(node) };
  }, [status, members]);
}

/** Changes settings; null takes one out of the file. */
export function useChangeConfig(node?: string) {
  const client = useQueryClient();
  return useMutation<ConfigAnswer, ApiError, Readonly<Record<string, unknown>>>({
    mutationFn: (changes) => api.patch<ConfigAnswer>(nodePath('config', node), changes),
    onSuccess: (answer) => {
      client.setQueryData(queryKey('config', node), answer);
      void client.invalidateQueries({ queryKey: queryKey('status', node) });
    },
  });
}
