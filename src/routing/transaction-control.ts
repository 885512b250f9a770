/** BEGIN, COMMIT, SET TRANSACTION and the like, as a router must know them. */
import { isTree, listOf, nodeOf, stringOf, type Tree } from './parse-tree.js';

/** What a statement does to the transaction. */
export type TransactionAction =
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'savepoint'
  /** PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED. */
  | 'two-phase'
  /** SET TRANSACTION: of the one that runs. */
  | 'set'
  /** SET SESSION CHARACTERISTICS: of those that follow. */
  | 'set-session'
  /** SET TRANSACTION SNAPSHOT. */
  | 'set-snapshot';

/** A statement that begins, ends or configures a transaction. Modes that it doesn't name are null. */
export interface TransactionControl {
  readonly action: TransactionAction;
  /** The statement in words: `a COMMIT`. */
  readonly name: string;
  readonly readOnly: boolean | null;
  /** In lower case: `repeatable read`. */
  readonly isolation: string | null;
  readonly deferrable: boolean | null;
  /** COMMIT AND CHAIN, ROLLBACK AND CHAIN. */
  readonly chain: boolean;
}

const ACTIONS: Readonly<Record<string, readonly [TransactionAction, string]>> = {
  TRANS_STMT_BEGIN: ['begin', 'a BEGIN'],
  TRANS_STMT_START: ['begin', 'a START TRANSACTION'],
  TRANS_STMT_COMMIT: ['commit', 'a COMMIT'],
  TRANS_STMT_ROLLBACK: ['rollback', 'a ROLLBACK'],
  TRANS_STMT_SAVEPOINT: ['savepoint', 'a SAVEPOINT'],
  TRANS_STMT_RELEASE: ['savepoint', 'a RELEASE'],
  TRANS_STMT_ROLLBACK_TO: ['savepoint', 'a ROLLBACK TO'],
  TRANS_STMT_PREPARE: ['two-phase', 'a PREPARE TRANSACTION'],
  TRANS_STMT_COMMIT_PREPARED: ['two-phase', 'a COMMIT PREPARED'],
  TRANS_STMT_ROLLBACK_PREPARED: ['two-phase', 'a ROLLBACK PREPARED'],
};

const SETS: Readonly<Record<string, readonly [TransactionAction, string]>> = {
  TRANSACTION: ['set', 'a SET TRANSACTION'],
  'SESSION CHARACTERISTICS': ['set-session', 'a SET SESSION CHARACTERISTICS'],
  'TRANSACTION SNAPSHOT': ['set-snapshot', 'a SET TRANSACTION SNAPSHOT'],
};

/** What the statement does to the transaction; null if it is a SET of something else. */
export function transactionControl(tag: string, fields: Tree): TransactionControl | null {
  const set = tag === 'VariableSetStmt';
  const found = set
    ? fields.kind === 'VAR_SET_MULTI' && SETS[stringOf(fields.name)]
    : ACTIONS[stringOf(fields.kind)];
  if (!found) return null;
  const [action, name] = found;
  const modes = modesOf(listOf(set ? fields.args : fields.options));
  return { action, name, ...modes, chain: fields.chain === true };
}

function modesOf(
  options: readonly unknown[],
): Pick<TransactionControl, 'readOnly' | 'isolation' | 'deferrable'> {
  const modes = { readOnly: null, isolation: null, deferrable: null } as {
    readOnly: boolean | null;
    isolation: string | null;
    deferrable: boolean | null;
  };
  for (const option of options) {
    const fields = nodeOf(option)?.fields;
    const constant = nodeOf(fields?.arg)?.fields;
    if (fields === undefined || constant === undefined) continue;
    if (fields.defname === 'transaction_read_only') modes.readOnly = isOn(constant);
    else if (fields.defname === 'transaction_deferrable') modes.deferrable = isOn(constant);
    else if (fields.defname === 'transaction_isolation' && isTree(constant.sval)) {
      modes.isolation = stringOf(constant.sval.sval);
    }
  }
  return modes;
}

/** The grammar writes these as the integers 0 and 1; the JSON leaves out a zero. */
function isOn(constant: Tree): boolean {
  return isTree(constant.ival) && constant.ival.ival === 1;
}
