/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session table's protocol (include/fqdnat/table.h, docs/session-table.md): programs that look for, add and
 * undo entries, and user space that removes and frees them.
 *
 * One home with SLOTS slots, two keys that both have it, PROGRAMS programs. The first one runs once, for
 * key 1 (the keys are alike); the others run RUNS times, for any.
 * A load or store of a shared word is a step; so is each atomic operation. What a slot says is two
 * words, written one after the other, so that a mixture of two entries would be seen.
 *
 * Claims, as assertions:
 *   once     no two set bits of a home lead to the same key
 *   whole    what a program uses is one entry, complete, of the key it has looked for; until the end of
 *            its run, whatever is removed meanwhile
 *   owned    nobody writes into a slot that a bit leads to, or that another is filling
 *   clean    in the end every slot is free or linked: nothing leaks
 *
 * Each of these plants a mistake, and must be found: -DBUG_NO_GRACE (freed at once), -DBUG_BLIND
 * (a bit is set without having looked at what was added meanwhile), -DBUG_EARLY (user space may
 * remove what is not linked yet), -DBUG_UNORDERED (an entry is read before the bit that leads to it,
 * as a processor may without the dependency), -DBUG_BIT_FIRST (linked before it is complete).
 */
#ifndef PROGRAMS
#define PROGRAMS 2
#endif
#ifndef RUNS
#define RUNS 2
#endif
#ifndef REMOVALS
#define REMOVALS 2
#endif
#ifndef SLOTS
#define SLOTS 3
#endif

#define FREE    0
#define CLAIMED 1
#define LIVE    2 /* a bit: CLAIMED | LIVE */
#define DEAD    4

#define BIT(i)       (1 << (i))
#define HAS(word, i) (((word) >> (i)) & 1)

byte bits;            /* the home's word */
byte state[SLOTS];    /* FREE, CLAIMED, CLAIMED | LIVE, and DEAD beside them */
byte key[SLOTS];      /* 1 or 2 */
byte value[SLOTS];    /* of the entry: key and who made it; complete if it fits key[] */
bool linked[SLOTS];   /* ghost: the slot's bit has been set and not yet been cleared */
byte filling[SLOTS];  /* ghost: 1 + the program that fills it */
byte section[PROGRAMS]; /* odd: between rcu_read_lock and rcu_read_unlock */
byte done;            /* programs that have ended */

#define VALUE(k, p) ((k) * 16 + (p) + 1)

inline check_once()
{
	d_step {
		assert(!(HAS(bits, 0) && HAS(bits, 1) && key[0] == key[1]));
		assert(!(HAS(bits, 0) && HAS(bits, 2) && key[0] == key[2]));
		assert(!(HAS(bits, 1) && HAS(bits, 2) && key[1] == key[2]));
	}
}

/*
 * Behind which of the bits in @word does key @k stand? @ret: SLOTS if behind none. One step: a key
 * that a bit has led to is constant, and use() sees it if it is not.
 */
inline scan(word, k, ret)
{
	skip;
	d_step {
		ret = 0;
		do
		:: ret < SLOTS && HAS(word, ret) && key[ret] == k -> break
		:: ret < SLOTS && !(HAS(word, ret) && key[ret] == k) -> ret++
		:: ret == SLOTS -> break
		od
	}
}

/* The two words of an entry, read one after the other. */
inline use(i, k)
{
	assert(key[i] == k);
	d_step { got = value[i]; assert(got / 16 == k); got = 0 }
}

inline own(i)
{
	assert(!linked[i] && filling[i] == 1 + me)
}

inline publish_bit(i)
{
	bits = bits | BIT(i);
	linked[i] = true;
	filling[i] = 0;
}

inline unlink(i)
{
	d_step {
		bits = bits & ~BIT(i);
		linked[i] = false;
	}
}

proctype program(byte me)
{
	byte k, at, seen, now, got, other, n;

	do
	:: n == (me -> RUNS : 1) -> break
	:: n < (me -> RUNS : 1) ->
		n++;
		if
		:: k = 1
		:: me > 0 -> k = 2
		fi;
		section[me]++;

		/* table_lookup */
#ifdef BUG_UNORDERED
		byte early[SLOTS];
		d_step {
			early[0] = value[0];
			early[1] = value[1];
			early[2] = value[2];
		}
#endif
		seen = bits;
		scan(seen, k, at);
		if
		:: at < SLOTS ->
#ifdef BUG_UNORDERED
			assert(early[at] / 16 == k);
#endif
			use(at, k);
			skip; /* and once more, as late as the program likes */
			use(at, k);
			goto out
		:: else
		fi;

		/* table_claim */
		at = 0;
		do
		:: at == SLOTS -> goto out
		:: at < SLOTS ->
			atomic {
				if
				:: state[at] == FREE ->
					state[at] = CLAIMED;
					assert(!linked[at] && filling[at] == 0);
					filling[at] = 1 + me;
					break
				:: else -> at++
				fi
			}
		od;
		skip;
#ifdef BUG_BIT_FIRST
		d_step { own(at); key[at] = k };
#else
		d_step { own(at); key[at] = k };
		d_step { own(at); value[at] = VALUE(k, me) };
#endif

		/* table_publish */
#ifdef BUG_EARLY
		state[at] = CLAIMED | LIVE;
#endif
		do
		:: true ->
			atomic {
				now = bits;
				if
#ifdef BUG_BLIND
				:: true ->
#else
				:: now == seen ->
#endif
					publish_bit(at);
					check_once();
					break
#ifndef BUG_BLIND
				:: else
#endif
				fi
			}
			scan(now & ~seen, k, other);
			if
			:: other < SLOTS ->
				d_step {
					assert(!linked[at]);
					filling[at] = 0;
					state[at] = FREE;
				}
				goto out
			:: else -> seen = now
			fi
		od;
#ifdef BUG_BIT_FIRST
		value[at] = VALUE(k, me);
#endif
		state[at] = state[at] | LIVE;
		use(at, k);

		/* A session whose other direction exists is undone: table_remove */
		if
		:: true
		:: true ->
			atomic {
				if
				:: state[at] & DEAD -> goto out
				:: else -> state[at] = state[at] | DEAD
				fi
			}
			unlink(at)
		fi;
out:		skip;
		d_step {
			section[me]++;
			at = 0; seen = 0; now = 0; got = 0; other = 0; k = 0
		}
	od;
	done++
}

inline grace()
{
#ifndef BUG_NO_GRACE
	d_step {
		p = 0;
		do
		:: p < PROGRAMS -> was[p] = section[p]; p++
		:: p == PROGRAMS -> break
		od
	}
	p = 0;
	do
	:: p < PROGRAMS -> (was[p] % 2 == 0 || section[p] != was[p]); p++
	:: p == PROGRAMS -> break
	od
#else
	skip
#endif
}

/* Unlink, wait, free. It may have died in between before: unlinking is done again. */
inline reap(i)
{
	unlink(i);
	grace();
	skip;
	d_step {
		assert(!linked[i] && filling[i] == 0);
		state[i] = FREE
	}
}

active proctype user_space()
{
	byte i, n, p, was[PROGRAMS];
	bool last;

	atomic {
		p = 0;
		do
		:: p < PROGRAMS -> run program(p); p++
		:: p == PROGRAMS -> break
		od
	}
	/* Removes up to REMOVALS live entries whenever it likes, and frees what is dead. */
	do
	:: n == REMOVALS -> break
	:: n < REMOVALS ->
		n++;
		if
		:: i = 0
		:: i = 1
		:: i = 2
		fi;
		atomic {
			if
			:: (state[i] & LIVE) && !(state[i] & DEAD) -> state[i] = state[i] | DEAD
			:: else
			fi
		}
		if
		:: state[i] & DEAD -> reap(i)
		:: else
		fi
	od;
	(done == PROGRAMS);
	i = 0;
	do
	:: i < SLOTS ->
		if
		:: state[i] & DEAD -> reap(i)
		:: else
		fi;
		assert(state[i] == FREE || (state[i] == (CLAIMED | LIVE) && linked[i]));
		assert(HAS(bits, i) == linked[i]);
		i++
	:: i == SLOTS -> break
	od;
	check_once()
}
