"""What effects exist: plain values that say what to do to the machine; executed only by `dozen.linux`."""
