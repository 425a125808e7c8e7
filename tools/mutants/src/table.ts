/** One wrong line, and what promise it breaks. */
export interface Mutant {
  readonly name: string
  /** From the root of the repository. */
  readonly file: string
  /** Occurs exactly once in the file. */
  readonly find: string
  readonly replace: string
  /** What goes wrong then. */
  readonly breaks: string
}

const inFile =
  (file: string) =>
  (name: string, breaks: string, find: string, replace: string): Mutant => ({
    name,
    file,
    find,
    replace,
    breaks,
  })

const quorum = inFile('libs/raft/src/quorum.ts')
const log = inFile('libs/raft/src/log.ts')
const election = inFile('libs/raft/src/election.ts')
const replication = inFile('libs/raft/src/replication.ts')
const leader = inFile('libs/raft/src/leader.ts')
const step = inFile('libs/raft/src/step.ts')
const rawNode = inFile('libs/raft/src/raw-node.ts')
const replica = inFile('libs/actors/src/replica.ts')
const proposals = inFile('libs/actors/src/proposals.ts')
const reads = inFile('libs/actors/src/read-rounds.ts')
const snapshots = inFile('libs/actors/src/snapshot/replica-snapshots.ts')
const changes = inFile('libs/actors/src/config-changes.ts')
const journal = inFile('libs/journal/src/journal.ts')
const writer = inFile('libs/journal/src/segment-writer.ts')
const recovery = inFile('libs/journal/src/recovery.ts')
const store = inFile('libs/store/src/store.ts')
const keys = inFile('libs/store/src/versioned-keys.ts')

/** The sabotages of reference raft.md §8.6 and more, by the part they are in. */
export const mutants: readonly Mutant[] = [
  // ── the core ──────────────────────────────────────────────────────────────────────────────────
  quorum(
    'commit-without-majority',
    'one acknowledgement less than a majority commits',
    'return ascending[voters.length - majority] ?? 0',
    'return ascending[voters.length - majority + 1] ?? 0',
  ),
  quorum(
    'elect-without-majority',
    'one vote less than a majority elects',
    "if (yesCount >= majority) return 'VoteWon'",
    "if (yesCount >= majority - 1) return 'VoteWon'",
  ),
  quorum(
    'joint-half-commits',
    'one half of a joint configuration commits alone',
    '  Math.min(majorityCommitted(halves.voters, acked)',
    '  Math.max(majorityCommitted(halves.voters, acked)',
  ),
  quorum(
    'joint-half-elects',
    'one half of a joint configuration elects alone',
    "if (incoming === 'VoteLost' || outgoing === 'VoteLost') return 'VoteLost'",
    "if (incoming === 'VoteWon' || outgoing === 'VoteWon') return 'VoteWon'",
  ),
  log(
    'figure-8',
    'entries of older terms are committed by counting',
    'if (index <= this.#committed || !this.matches(index, term)) return false',
    'if (index <= this.#committed) return false',
  ),
  log(
    'short-log-elected',
    'a candidate with a shorter log of the same term is elected',
    '(term === lastTerm && index >= this.lastIndex())',
    'term === lastTerm',
  ),
  log(
    'no-previous-term',
    'entries are appended behind a previous entry of another term',
    'if (!this.matches(prevIndex, prevTerm)) return undefined',
    'if (prevIndex > this.lastIndex()) return undefined',
  ),
  log(
    'truncate-without-conflict',
    'an old, shorter message shortens the log',
    'if (this.matches(entry.index, entry.term)) continue',
    'if (this.matches(entry.index, entry.term) && entry.index <= this.#committed) continue',
  ),
  log(
    'unclamped-commit',
    'a follower commits what the message did not speak of',
    'this.commitTo(Math.min(leaderCommit, lastNew))',
    'this.commitTo(Math.min(leaderCommit, this.lastIndex()))',
  ),
  log(
    'apply-what-is-not-committed',
    'the last entry is applied before it is committed',
    'return mayBeUnstable ? this.#committed : Math.min(this.#committed, this.unstable.offset - 1)',
    'return mayBeUnstable ? this.lastIndex() : Math.min(this.#committed, this.unstable.offset - 1)',
  ),
  election(
    'vote-not-recorded',
    'a voter forgets whom it voted for',
    '    raft.electionElapsed = 0\n    raft.vote = from',
    '    raft.electionElapsed = 0',
  ),
  election(
    'vote-twice',
    'who has voted votes for anybody else too',
    '    raft.vote === from ||',
    '    raft.vote !== none ||',
  ),
  election(
    'refusal-counts',
    'a refusal counts as a vote',
    'raft.tracker.recordVote(from, !reject)',
    'raft.tracker.recordVote(from, true)',
  ),
  election(
    'campaign-with-unapplied-change',
    'a member campaigns in a configuration that is no longer in force',
    '  if (hasUnappliedConfChange(raft)) {\n    raft.warn(',
    '  if (Number.isNaN(raft.id)) {\n    raft.warn(',
  ),
  election(
    'leader-not-protected',
    'whoever comes back deposes a leader that others hear',
    'const isInLease = checkQuorum && raft.lead !== none',
    'const isInLease = Number.isNaN(raft.id) && checkQuorum && raft.lead !== none',
  ),
  election(
    'commit-what-a-voter-knows',
    'what a voter knows to be committed is taken for ours, whatever ours is',
    'if (log.matches(index, term)) log.commitTo(index)',
    'log.commitTo(Math.min(index, log.lastIndex()))',
  ),
  replication(
    'heartbeat-commits-all',
    'a heartbeat commits what the follower may not have',
    'const commit = Math.min(progress.match, raft.log.committed)',
    'const commit = raft.log.committed',
  ),
  replication(
    'read-without-quorum',
    'a leader answers reads without asking whether it still leads',
    '  raft.readOnly.add(request, raft.log.committed)',
    '  answerRead(raft, request, raft.log.committed)',
  ),
  replication(
    'read-before-first-commit',
    'a new leader answers reads before it knows what is committed',
    '  if (!raft.hasCommittedOwnEntry()) {',
    '  if (Number.isNaN(raft.id)) {',
  ),
  inFile('libs/raft/src/raft.ts')(
    'read-one-entry-early',
    'a new leader answers reads one entry too early',
    'return this.log.committed >= this.#firstOwnIndex',
    'return this.log.committed >= this.#firstOwnIndex - 1',
  ),
  inFile('libs/raft/src/read-only.ts')(
    'any-heartbeat-confirms',
    'an answer to an old heartbeat confirms newer reads',
    'if (position > this.#confirmedBy(id)) this.#confirmed.set(id, position)',
    'this.#confirmed.set(id, this.#newest)',
  ),
  inFile('libs/raft/src/raft.ts')(
    'inherited-change-forgotten',
    'a new leader lets a second change in beside an inherited one',
    '    this.pendingConfIndex = this.log.lastIndex()\n',
    '',
  ),
  leader(
    'two-pending-changes',
    'two configuration changes are under way at once',
    'if (raft.pendingConfIndex > raft.log.applied) {',
    'if (Number.isNaN(raft.id)) {',
  ),
  leader(
    'no-check-quorum',
    'a leader that nobody answers goes on leading',
    'if (!raft.tracker.isQuorumActive()) {',
    'if (Number.isNaN(raft.id)) {',
  ),
  leader(
    'window-never-freed',
    'what was acknowledged still counts as under way',
    '      progress.inflights.freeTo(one.index)\n',
    '',
  ),
  leader(
    'transfer-to-anybody',
    'leadership is handed to somebody whose log lags',
    '  if (progress.match === raft.log.lastIndex()) {\n    sendTimeoutNow(raft, to)',
    '  if (progress.match >= 0) {\n    sendTimeoutNow(raft, to)',
  ),
  step(
    'old-leader-obeyed',
    'messages of the last term count in this one',
    '} else if (one.term !== 0 && one.term < raft.term) {',
    '} else if (one.term !== 0 && one.term < raft.term - 1) {',
  ),
  step(
    'rehearsal-raises-term',
    'asking for a pre-vote deposes a leader',
    '      return !isLeaderProtected(raft, one)',
    '      break',
  ),
  inFile('libs/raft/src/message.ts')(
    'acknowledge-before-disk',
    'a follower acknowledges what is not on its disk',
    "  type === 'MsgAppResp' || type === 'MsgVoteResp' || type === 'MsgPreVoteResp'",
    "  type === 'MsgVoteResp' || type === 'MsgPreVoteResp'",
  ),
  inFile('libs/raft/src/message.ts')(
    'vote-before-disk',
    'a vote leaves before it is on the disk',
    "  type === 'MsgAppResp' || type === 'MsgVoteResp' || type === 'MsgPreVoteResp'",
    "  type === 'MsgAppResp' || type === 'MsgPreVoteResp'",
  ),
  rawNode(
    'vote-not-synced',
    'a vote alone is not worth a write',
    '        raft.vote !== this.#previousHard.vote,',
    '        false,',
  ),
  rawNode(
    'term-not-synced',
    'a term alone is not worth a write',
    '        raft.term !== this.#previousHard.term ||\n',
    '',
  ),
  rawNode(
    'old-change-on-new-snapshot',
    'a change changes the configuration of a snapshot that stands for it',
    '    if (log.unstable.snapshot !== undefined) return',
    '    if (Number.isNaN(log.committed)) return',
  ),
  inFile('libs/raft/src/unstable.ts')(
    'aba',
    'a late answer of the disk marks other entries of the same index stable',
    '    if (ours !== term) {',
    '    if (Number.isNaN(term)) {',
  ),
  inFile('libs/raft/src/storage.ts')(
    'snapshot-mislabelled',
    'a snapshot says that it stands for one entry less',
    'this.#snapshot = { meta: { index, term, confState } }',
    'this.#snapshot = { meta: { index: index - 1, term, confState } }',
  ),
  inFile('libs/raft/src/progress.ts')(
    'stale-refusal-counts',
    'an overtaken refusal takes back what was acknowledged',
    '      if (rejected <= this.match) return false\n      this.#rewind(this.match + 1)',
    '      this.#rewind(Math.min(this.match, rejected) + 1)',
  ),

  // ── the replica ───────────────────────────────────────────────────────────────────────────────
  replica(
    'everything-leaves-early',
    'promises leave before the write that they promise',
    "const early = messages.filter(({ type }) => type !== 'MsgSnap' && !waitsForDisk(type))",
    "const early = messages.filter(({ type }) => type !== 'MsgSnap')",
  ),
  replica(
    'commit-index-left-behind',
    'a commit index that came without entries is not in the next write',
    '...(this.#unwritten && { hardState: this.#unwritten })',
    '...(ready.hardState && { hardState: ready.hardState })',
  ),
  reads(
    'late-reader-joins-round',
    'who asks while a read round is under way is answered by it',
    'if (this.#rounds.length >= roundsMax || this.#waiting.length === 0) return undefined',
    'if (this.#rounds.length > 0) return void this.#rounds[0]?.readers.push(...this.#waiting.splice(0))\n    if (this.#waiting.length === 0) return undefined',
  ),
  reads(
    'read-before-applied',
    'a confirmed read is answered from a state that lags behind it',
    ' && this.#confirmed[0].index <= appliedIndex',
    '',
  ),
  proposals(
    'sent-but-refused',
    'what was sent is said not to have happened',
    '    proposal.wasEverSent ||= !isDropped\n',
    '',
  ),
  replica(
    'hard-state-forgotten',
    'term and vote are not taken over from the disk',
    'setHardState(recovered.hardState ?? { term',
    'setHardState({ term',
  ),
  snapshots(
    'compacted-too-far',
    'the log behind a snapshot is dropped up to what is applied',
    'const to = index - limits.trailingEntries',
    'const to = this.#options.node.basicStatus().applied + 0 * index',
  ),
  snapshots(
    'lost-snapshot-waited-for',
    'nobody tells the core that a snapshot was lost',
    '        node.reportSnapshot(peer, isReceived)\n',
    '',
  ),
  snapshots(
    'snapshot-not-restored',
    'an installed snapshot does not reach the store',
    '    store.adopt(state)\n',
    '',
  ),
  proposals(
    'wrong-answer',
    'a replayed command is answered, and its waiter forgotten',
    '    if (proposal === undefined) return\n    this.#end(proposal, true)',
    '    if (proposal === undefined || result.isReplay) return\n    this.#end(proposal, true)',
  ),

  replica(
    'configuration-of-snapshot-forgotten',
    'an installed snapshot does not say who the members are',
    '    this.#noteConfig(snapshot.meta.confState)\n',
    '',
  ),
  replica(
    'broken-link-means-nothing',
    'nobody stands for election when the link to the leader broke',
    '    this.#standInTurn(1, peer)\n',
    '',
  ),
  replica(
    'newer-command-taken',
    'a leader takes a command into its log that it does not know',
    "    if (message.type === 'MsgProp' && message.entries.some(isNewer)) return\n",
    '',
  ),
  changes(
    'any-change-answers',
    'whoever asked for a change is answered by another one',
    '    if (!sameBytes(change.context, underWay.proposal.context)) return\n',
    '',
  ),
  changes(
    'last-voter-leaves',
    'the only voter may be removed',
    'if (isVoter && config.voters.length === 1) {',
    'if (isVoter && config.voters.length === 0) {',
  ),

  // ── the journal ───────────────────────────────────────────────────────────────────────────────
  writer(
    'record-not-synced',
    'a record is acknowledged that is in the cache only',
    '    await writeRecord(active, type, buffer)\n    await active.file.sync()',
    '    await writeRecord(active, type, buffer)',
  ),
  writer(
    'segment-name-not-synced',
    'the name of a new segment may be lost',
    '    await disk.syncDirectory(directory)\n    this.#seq++',
    '    this.#seq++',
  ),
  writer(
    'segment-without-hard-state',
    'a segment does not repeat the vote, and older ones go',
    '    if (this.#hardState !== undefined) {',
    '    if (Number.isNaN(this.#seq)) {',
  ),
  writer(
    'segment-number-twice',
    'a segment takes the number of the one before',
    '      seq: this.#seq + 1,',
    '      seq: Math.max(1, this.#seq),',
  ),
  journal(
    'snapshot-not-synced',
    'a snapshot is renamed before its content is durable',
    '    await file.sync()\n    await file.close()\n    await this.#disk.rename',
    '    await file.close()\n    await this.#disk.rename',
  ),
  journal(
    'snapshot-name-not-synced',
    'a marker may outlive the name of its snapshot',
    '    await this.#disk.rename(path, join(this.#directory, name))\n    await this.#disk.syncDirectory(this.#directory)',
    '    await this.#disk.rename(path, join(this.#directory, name))',
  ),
  journal(
    'needed-segment-removed',
    'a segment goes whose entries the snapshot does not stand for',
    'seq >= markerSeq || lastIndex > index',
    'seq >= markerSeq',
  ),
  journal(
    'failure-forgotten',
    'a journal goes on after a failed sync',
    '    if (this.#failure !== undefined) throw this.#failure\n    if (this.#isClosed)',
    '    if (this.#isClosed)',
  ),
  recovery(
    'torn-tail-kept',
    'a torn record is not wiped',
    '    if (isTorn) await file.write(new Uint8Array(endOfData(last.bytes) - offset), offset)\n',
    '',
  ),
  recovery(
    'replaced-log-kept',
    'entries that a snapshot replaced come back',
    '    this.entries = []\n    this.wasReplaced = true',
    '    this.wasReplaced = true',
  ),
  recovery(
    'term-of-snapshot-forgotten',
    'a member forgets the term of the snapshot it was sent',
    'if (hardState === undefined || hardState.term < term) return { term, vote: 0, commit: index }',
    'if (hardState === undefined) return { term, vote: 0, commit: index }',
  ),
  inFile('libs/journal/src/segment.ts')(
    'damage-taken-for-torn',
    'whatever is damaged is cut off with all that follows',
    'if (isEnded || !isUnfinished(bytes, offset, seq, segment)) {',
    'if (isEnded) {',
  ),
  inFile('libs/journal/src/record.ts')(
    'constant-nonce',
    'every record of a segment is sealed under the same nonce',
    '  writeSeq(nonceWords, 4, seq)\n  return nonceBytes',
    '  return nonceBytes',
  ),
  inFile('libs/journal/src/record.ts')(
    'unchained-records',
    'a record does not depend on the one before',
    'crc32(record.subarray(0, 4), previousCrc)',
    'crc32(record.subarray(0, 4), 0 * previousCrc)',
  ),

  recovery(
    'cut-segment-taken-for-torn',
    'a segment that somebody cut is taken for one that a crash tore',
    '  checkLength(segments.at(-1))\n',
    '',
  ),
  writer(
    'old-key-goes-on',
    'what follows a new key is sealed under the old one',
    '    await this.#end(this.#active)\n    return this.#seq\n',
    '    return this.#seq\n',
  ),

  // ── the store ─────────────────────────────────────────────────────────────────────────────────
  store(
    'sessions-ignored',
    'a repeated command is applied again',
    'if (last !== undefined && session.seq <= last.session.seq) {',
    'if (last !== undefined && session.seq < 0) {',
  ),
  store(
    'claims-ignored',
    'a transaction happens although a claim does not hold',
    'const succeeded = failedCompare < 0',
    'const succeeded = failedCompare < 1',
  ),
  store(
    'own-clock',
    'applying looks at a clock of its own',
    'const { nowMs } = command\n    const [only]',
    'const nowMs = Date.now()\n    const [only]',
  ),
  inFile('libs/store/src/sessions.ts')(
    'sessions-out-of-order',
    'the session that was heard of last is forgotten first',
    '      this.#unlink(known)\n      this.#append(known)\n',
    '',
  ),
  keys(
    'revision-for-nothing',
    'a transaction that changes nothing makes a revision',
    '    if (changed === undefined) return false\n',
    '    if (changed === undefined) return this.#batches.push([]) + ++this.#revision > 0\n',
  ),
  keys(
    'version-goes-on',
    'a key that was deleted goes on counting its versions',
    'history.version = isNew ? 1 : history.version + 1',
    'history.version = (isNew ? (history.older?.length ?? 0) : history.version) + 1',
  ),
  keys(
    'past-off-by-one',
    'a read at a revision misses what that revision changed',
    '<= revision) low = middle + 1',
    '< revision) low = middle + 1',
  ),
]
