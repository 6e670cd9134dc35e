// The entry of the view "models": the lists, or the page of the one that the address names, opened at a tab: `#/models/NAME#cuts`.
import type { ReactNode } from 'react';
import { useParams } from 'wouter';
import { ModelPage } from './model-page.tsx';
import { ModelsLists } from './models-lists.tsx';

export function ModelsView(): ReactNode {
  const { '*': rest = '' } = useParams<{ readonly '*'?: string }>();
  // No id of a model, and no digest, has such a sign.
  const [address = '', tab] = rest.split('#');
  return address === '' ? <ModelsLists /> : <ModelPage key={address} address={address} tab={tab} />;
}
