/* Exit status 0 is no pass. */
int main(void)
{
    return 0;
}
