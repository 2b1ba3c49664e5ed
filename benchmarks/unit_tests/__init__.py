"""Generated unit tests beside another generator's, on the same modules, judged by tools that are neither's."""
