// What only this view asks of the node: the catalogue, cuts, and what is done with models.
import { type UseMutationResult, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type {
  AcceptedAnswer,
  CancelAnswer,
  CatalogueAnswer,
  CutsAnswer,
  LoadAnswer,
  PullAnswer,
  RemoveAnswer,
  UnloadAnswer,
} from '../../../../protocol/api/control.ts';
import { useToast } from '../../components/toast.tsx';
import { type ApiError, api } from '../../data/client.ts';
import { useEvents } from '../../data/events.ts';
import { type Answered, nodePath, useStatus } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { bytes, safeName, shortModel } from '../../text/format.ts';
import type { Loading } from './model-rows.ts';

/** The same as long as the node runs. */
export const useCatalogue = (): Answered<CatalogueAnswer> =>
  useQuery<CatalogueAnswer, ApiError>({
    queryKey: ['catalogue'],
    queryFn: ({ signal }) => api.get<CatalogueAnswer>('/api/v1/catalogue', { signal }),
    retry: false,
  });

/** Measured where it isn't known: minutes for a large graph. */
export function useCuts(model: string, enabled: boolean): Answered<CutsAnswer> & { readonly measureAgain: () => void } {
  const client = useQueryClient();
  const [again, setAgain] = useState(false);
  const key = ['cuts', model];
  const query = useQuery<CutsAnswer, ApiError>({
    queryKey: key,
    queryFn: async ({ signal }) => {
      const anew = again ? '&again=true' : '';
      setAgain(false);
      return api.get<CutsAnswer>(`/api/v1/cuts?model=${encodeURIComponent(model)}${anew}`, { signal });
    },
    enabled: enabled || again,
    retry: false,
  });
  const measureAgain = (): void => {
    setAgain(true);
    client.removeQueries({ queryKey: key });
  };
  return { ...query, measureAgain };
}

/** Models on their way into memory, by hub id, as their events tell it. */
export function useLoading(): ReadonlyMap<string, Loading> {
  const [loading, setLoading] = useState<ReadonlyMap<string, Loading>>(new Map());
  useEvents('model', (events) =>
    setLoading((before) => {
      const next = new Map(before);
      for (const { data } of events) {
        if (data.state === 'loading') next.set(data.id, { phase: data.phase ?? 'load', fraction: data.fraction });
        else next.delete(data.id);
      }
      return next;
    }),
  );
  return loading;
}

/** One model, as the actions need it. */
export interface ActedOn {
  readonly id: string;
  /** Names this form of it, whichever the id alone would mean. */
  readonly digest: string;
}

type Act<Answer, Variables = ActedOn> = UseMutationResult<Answer, ApiError, Variables>;

/** Into memory; `pin` keeps it there. */
export function useLoad(): Act<LoadAnswer, ActedOn & { readonly pin: boolean }> {
  const toast = useToast();
  return useMutation({
    mutationFn: ({ digest, pin }) => api.post<LoadAnswer>('/api/v1/models/load', { model: digest, pin }),
    onSuccess: (_answer, { id }) => toast.done(text.models.loadedDone(nameOf(id))),
    onError: (error, { id }) => toast.failed(text.models.loadFailed(nameOf(id)), error),
  });
}

export function useUnload(): Act<UnloadAnswer> {
  const toast = useToast();
  return useMutation({
    mutationFn: ({ digest }) => api.post<UnloadAnswer>('/api/v1/models/unload', { model: digest }),
    onSuccess: (_answer, { id }) => toast.done(text.models.unloadedDone(nameOf(id))),
    onError: (error, { id }) => toast.failed(text.models.unloadFailed(nameOf(id)), error),
  });
}

export function useRemove(): Act<RemoveAnswer> {
  const toast = useToast();
  return useMutation({
    mutationFn: ({ digest }) => api.post<RemoveAnswer>('/api/v1/models/remove', { model: digest }),
    onSuccess: ({ freedBytes }) => toast.done(text.models.remove.done(bytes(freedBytes))),
  });
}

/**
 * Begins a pull that goes on by itself, whatever becomes of this page: the node is asked as any node of the mesh is managed.
 * Fails here with what fails at once; what fails later stands with the transfers.
 */
export function usePull(): Act<PullAnswer | AcceptedAnswer, string> {
  const { data: status } = useStatus();
  const toast = useToast();
  return useMutation({
    mutationFn: (model) =>
      api.post<PullAnswer | AcceptedAnswer>(nodePath('models/pull', status?.node), { model: model.trim() }),
    onSuccess: (answer, model) =>
      toast.done('id' in answer ? text.models.pull.done(nameOf(answer.id)) : text.models.pull.begun(nameOf(model))),
  });
}

/** For whoever waits: other windows, too. */
export function useCancel(): Act<CancelAnswer, string> {
  const toast = useToast();
  return useMutation({
    mutationFn: (id) => api.post<CancelAnswer>('/api/v1/transfers/cancel', { id }),
    onSuccess: ({ cancelled }) => {
      if (!cancelled) toast.done(text.models.transfers.endedBefore);
    },
    onError: (error) => toast.failed(text.models.transfers.notCancelled, error),
  });
}

const nameOf = (id: string): string => safeName(shortModel(id));
