import type { ByteString } from '../byte-string.ts'
import type { Program } from '../invocation.ts'
import { awk } from './awk/awk.ts'
import { base64 } from './base64.ts'
import { cat, fold, nl, rev, tac } from './cat.ts'
import { comm, cut, join, paste } from './columns.ts'
import { cmp, diff } from './compare.ts'
import { curl, nc, wget } from './curl.ts'
import { date } from './date.ts'
import { dd } from './dd.ts'
import { cksum, digest } from './digest.ts'
import { hexdump, od, xxd } from './dump.ts'
import { head, tail } from './ends.ts'
import { env, nice, nohup, printenv, time, timeout, which } from './environment.ts'
import { find } from './find.ts'
import { grep } from './grep.ts'
import { basename, dirname, du, ls, stat } from './listing.ts'
import {
  df,
  findmnt,
  getent,
  groups,
  hostname,
  id,
  mount,
  nproc,
  umount,
  uname,
  uptime,
  whoami,
} from './machine-facts.ts'
import {
  chmod,
  chown,
  cp,
  ln,
  mkdir,
  mktemp,
  mv,
  readlink,
  realpath,
  rm,
  rmdir,
  touch,
  truncate,
} from './making.ts'
import { expr, seq } from './numbers.ts'
import { echo, printf } from './printf.ts'
import { kill, pgrep, ps, tee, yes } from './processes.ts'
import { sed } from './sed.ts'
import { sleep } from './sleep.ts'
import { sort, uniq } from './sort.ts'
import { stty, tty } from './terminal.ts'
import { test } from './test.ts'
import { tr } from './tr.ts'
import { wc } from './wc.ts'
import { xargs } from './xargs.ts'

/** The working directory, as the shell found its way there or, with `-P`, without symbolic links. */
const pwd: Program = (invocation) => {
  const { flags } = invocation.options('LP')
  const { cwd } = invocation.process
  return invocation.answer(`${flags.has('P') ? invocation.files.realPath(cwd) : cwd}\n`)
}

const clear: Program = (invocation) => invocation.answer('\u001b[H\u001b[2J\u001b[3J')

/** Every simulated program by its name. */
export const commands: ReadonlyMap<ByteString, Program> = new Map<ByteString, Program>(
  Object.entries<Program>({
    ':': () => 0,
    '[': test,
    awk,
    base64,
    basename,
    cat,
    chgrp: chown,
    chmod,
    chown,
    cksum,
    clear,
    cmp,
    comm,
    cp,
    curl,
    cut,
    date,
    dd,
    df,
    diff,
    dirname,
    du,
    echo,
    egrep: grep,
    env,
    expr,
    false: () => 1,
    fgrep: grep,
    find,
    findmnt,
    fold,
    getent,
    grep,
    groups,
    hd: hexdump,
    head,
    hexdump,
    hostname,
    id,
    join,
    kill,
    less: cat,
    ln,
    ls,
    mawk: awk,
    md5sum: digest('md5'),
    mkdir,
    mktemp,
    more: cat,
    mount,
    mv,
    nc,
    nice,
    nl,
    nohup,
    nproc,
    od,
    paste,
    pgrep,
    pkill: pgrep,
    printenv,
    printf,
    ps,
    pwd,
    readlink,
    realpath,
    rev,
    rm,
    rmdir,
    sed,
    seq,
    sha1sum: digest('sha1'),
    sha224sum: digest('sha224'),
    sha256sum: digest('sha256'),
    sha384sum: digest('sha384'),
    sha512sum: digest('sha512'),
    sleep,
    sort,
    stat,
    stty,
    sync: () => 0,
    tac,
    tail,
    tee,
    test,
    time,
    timeout,
    touch,
    tr,
    true: () => 0,
    truncate,
    tty,
    umount,
    uname,
    uniq,
    uptime,
    wc,
    wget,
    which,
    whoami,
    xargs,
    xxd,
    yes,
  }),
)
