// Checks NAME: what is kept, in a sentence.
#include "journey.h"

int main(void)
{
    // Make the state.

    ready();

    // Verify it: CHECK_EQUAL(now, before), CHECK_TEXT, CHECK_FILLED.
    pass();
}
