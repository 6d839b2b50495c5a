from weaklight.cli import main

main()
