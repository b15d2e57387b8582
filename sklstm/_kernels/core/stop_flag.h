/* A flag that one thread sets and others poll. It orders no other memory: results of a call are visible after the barrier of
 * the pool. */
#ifndef SKLSTM_STOP_FLAG_H
#define SKLSTM_STOP_FLAG_H

#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L && !defined(__STDC_NO_ATOMICS__)
typedef _Atomic int sklstm_stop_flag;
#else
/* MSVC has no _Atomic in older versions; an aligned long is read and written whole there. */
typedef volatile long sklstm_stop_flag;
#endif

#endif
