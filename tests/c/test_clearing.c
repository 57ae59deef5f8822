/* test_clearing.c - when the kernel's part is told that its frames are through, on a clock of our own. */
#include "run/clearing.h"

#include "check.h"

#define MS UINT64_C(1000000)

static uint64_t issued, cleared;

static void test_nothing_issued(void)
{
    pp_clearing c;
    issued = cleared = 0;
    pp_clearing_init(&c, &issued, &cleared);
    CHECK(!pp_clearing_look(&c, MS));
    CHECK(pp_clearing_is_through(&c));
}

static void test_moves_once_all_are_through_and_have_settled(void)
{
    pp_clearing c;
    issued = 3, cleared = 0;
    pp_clearing_init(&c, &issued, &cleared);
    pp_clearing_add(&c, 2);
    CHECK(pp_clearing_look(&c, 1 * MS) && !pp_clearing_is_through(&c)); /* one is on its way */
    CHECK(pp_clearing_look(&c, 100 * MS) && cleared == 0);
    pp_clearing_add(&c, 1);
    CHECK(pp_clearing_look(&c, 101 * MS) && cleared == 0); /* from here on it settles */
    CHECK(pp_clearing_look(&c, 105 * MS) && cleared == 0);
    CHECK(!pp_clearing_look(&c, 106 * MS) && cleared == 3);
}

static void test_frames_that_come_while_it_settles_wait_for_the_next(void)
{
    pp_clearing c;
    issued = 1, cleared = 0;
    pp_clearing_init(&c, &issued, &cleared);
    pp_clearing_add(&c, 1);
    pp_clearing_look(&c, 1 * MS);
    issued = 2;
    CHECK(pp_clearing_look(&c, 7 * MS) && cleared == 1); /* the second is not through */
    pp_clearing_add(&c, 1);
    CHECK(pp_clearing_look(&c, 8 * MS) && cleared == 1);
    CHECK(!pp_clearing_look(&c, 13 * MS) && cleared == 2);
}

static void test_what_was_lost_is_not_waited_for(void)
{
    pp_clearing c;
    issued = 5, cleared = 0;
    pp_clearing_init(&c, &issued, &cleared);
    pp_clearing_add(&c, 3);
    pp_clearing_look(&c, 1 * MS);
    CHECK(pp_clearing_look(&c, 10 * MS) && cleared == 0);
    pp_clearing_set_lost(&c, 2);
    pp_clearing_set_lost(&c, 2); /* in all, not once more */
    pp_clearing_look(&c, 11 * MS);
    CHECK(!pp_clearing_look(&c, 16 * MS) && cleared == 5 && pp_clearing_done(&c) == 3);
}

int main(void)
{
    test_nothing_issued();
    test_moves_once_all_are_through_and_have_settled();
    test_frames_that_come_while_it_settles_wait_for_the_next();
    test_what_was_lost_is_not_waited_for();
    return DONE;
}
