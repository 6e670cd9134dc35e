// The entry of the view "models": the lists, or the page of the one that the address names, opened at a tab: `#/models/NAME#cuts`.
import type { ReactNode } from 'react';
import { useParams } from 'wouter';
import { ModelPage } from './model-page.tsx';
import { placeOf } from './model-rows.ts';
import { ModelsLists } from './models-lists.tsx';

export function ModelsView(): ReactNode {
  const { '*': rest = '' } = useParams<{ readonly '*'?: string }>();
  const { address, tab } = placeOf(rest);
  return address === '' ? <ModelsLists /> : <ModelPage key={address} address={address} tab={tab} />;
}
